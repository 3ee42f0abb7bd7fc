package panamoe.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.testkit.Floats;

/** Values that are not finite are one kind of failure, wherever they are found first. */
class DivergedTest {
  private static final int TOKENS = 6;
  private static final int VOCABULARY = 11;

  static Stream<String> backends() {
    return Stream.of(System.getProperty("panamoe.test.backends", "reference,cpu,simt").split(","));
  }

  static Stream<Arguments> models() {
    return backends().flatMap(name -> Stream.of(Arguments.of(name, 0), Arguments.of(name, 4)));
  }

  @ParameterizedTest(name = "{1} experts on {0}")
  @MethodSource("models")
  void aModelsSteps(String name, int experts) {
    ModelSettings settings = ModelSettings.of(VOCABULARY, 8, 8, 2, List.of(0, experts));
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open(name, 1);
        TrainableModel model = TrainableModel.create(device, settings, 7);
        AdamW optimizer = AdamW.begin(model, AdamWSettings.USUAL)) {
      MemorySegment ids = arena.allocateFrom(ValueLayout.JAVA_INT, 1, 2, 3, 4, 5, 6);
      Teacher teacher = new Teacher(Floats.normals(arena, TOKENS * VOCABULARY, 1), 1, 1);
      try (ModelStep step = model.train(ids, ids, 1, TOKENS, 1)) {
        step.backward();
        MemorySegment weight = arena.allocate(ValueLayout.JAVA_FLOAT, VOCABULARY * 8);
        model.parameters().read("embedding.weight", weight);
        weight.setAtIndex(ValueLayout.JAVA_FLOAT, 8, Float.NaN);
        model.parameters().write("embedding.weight", weight);
        for (Executable call :
            List.<Executable>of(
                () -> model.train(ids, ids, 1, TOKENS, 1),
                () -> model.distil(ids, ids, teacher, 1, TOKENS, 1),
                () -> model.loss(ids, ids, 1, TOKENS))) {
          String said = assertThrows(PanamoeException.Diverged.class, call).getMessage();
          assertTrue(
              said.equals("the loss is NaN")
                  || said.matches(
                      "the model gives numbers that are not finite( in layer 1)? \\(.*is NaN.*"),
              said);
        }
        optimizer.step(1e-3); // its gradients are older
        assertEquals(1, optimizer.steps());
      }
    }
  }

  @ParameterizedTest
  @MethodSource("backends")
  void aLayersSteps(String name) {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open(name, 1);
        MoeLayer layer = MoeLayer.create(device, LayerSettings.of(8, 16, 4, 2), 1)) {
      MemorySegment x = Floats.normals(arena, TOKENS * 8, 1);
      MemorySegment y = Floats.normals(arena, TOKENS * 8, 2);
      x.setAtIndex(ValueLayout.JAVA_FLOAT, 9, Float.NaN);
      for (Executable call :
          List.<Executable>of(
              () -> layer.forward(x, y, TOKENS), () -> layer.train(x, y, TOKENS, 1))) {
        String said = assertThrows(PanamoeException.Diverged.class, call).getMessage();
        assertTrue(
            said.matches(
                "the layer gets or computes numbers that are not finite"
                    + " \\((moe_\\w+: )?logits\\[1, 0] is NaN.*\\)"),
            said);
      }
    }
  }
}
