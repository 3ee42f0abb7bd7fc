package panamoe.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.api.Device;
import panamoe.api.Execution;
import panamoe.api.ModelSettings;
import panamoe.api.PanamoeException;
import panamoe.api.Precision;
import panamoe.api.TrainableModel;
import panamoe.data.TinyTokenizer;
import panamoe.testkit.SmallRun;

/** Sessions of a model that is being trained. */
class TrainedTextTest {
  private static final ModelSettings SETTINGS = ModelSettings.of(257, 32, 16, 2, List.of(0, 4));
  private static final GenerationOptions OPTIONS = GenerationOptions.of(20);

  @TempDir private Path folder;

  @ParameterizedTest
  @CsvSource({"reference,FLOAT32", "cpu,FLOAT32", "cpu,BFLOAT16"})
  void itWritesWithTheWeightsAsTheyAre(String name, Precision precision) {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open(name, 1);
        TrainableModel model =
            TrainableModel.create(device, SETTINGS, new Execution(precision, null), 3);
        MoeModel writer = MoeModel.of(model)) {
      MemorySegment tokens = arena.allocateFrom(ValueLayout.JAVA_INT, 65, 66, 67);
      MemorySegment logits = arena.allocate(ValueLayout.JAVA_FLOAT, 3 * 257);
      model.forward(tokens, logits, 1, 3);
      float[] last = logits.asSlice(4 * 2 * 257).toArray(ValueLayout.JAVA_FLOAT);
      assertArrayEquals(last, writer.nextLogits(65, 66, 67), 1e-6f);
      String before = writer.generate("ABC", OPTIONS).text();
      assertEquals(before, writer.generate("ABC", OPTIONS).text());

      // After the last norm all hidden states are near (100, 0, ...), which X is most like.
      model.parameters().value("embedding.weight").setAtIndex(ValueLayout.JAVA_FLOAT, 16L * 'X', 1);
      model.parameters().value("final_norm.bias").setAtIndex(ValueLayout.JAVA_FLOAT, 0, 100);
      model.forward(tokens, logits, 1, 3);
      assertArrayEquals(
          logits.asSlice(4 * 2 * 257).toArray(ValueLayout.JAVA_FLOAT),
          writer.nextLogits(65, 66, 67),
          1e-4f);
      assertNotEquals(before, "X".repeat(20));
      assertEquals("X".repeat(20), writer.generate("ABC", OPTIONS).text());
    }
  }

  @Test
  void aModelThatDivergedSaysSo() {
    try (Device device = Device.open("cpu", 1);
        TrainableModel model = TrainableModel.create(device, SETTINGS, 3);
        MoeModel writer = MoeModel.of(model)) {
      model.parameters().value("final_norm.bias").setAtIndex(ValueLayout.JAVA_FLOAT, 0, Float.NaN);
      String said =
          assertThrows(
                  PanamoeException.Diverged.class,
                  () -> writer.generate("ABC", GenerationOptions.of(2)))
              .getMessage();
      assertTrue(said.startsWith("the model gives numbers that are not finite"), said);
    }
  }

  @Test
  void savedAndOpenedItWritesTheSame() {
    ModelSettings dropping = SETTINGS.withCapacityFactor(1);
    try (Device device = Device.open("cpu", 1);
        TrainableModel model = TrainableModel.create(device, SETTINGS, 3);
        TrainableModel other = TrainableModel.create(device, dropping, 3)) {
      model.save(folder, 0, Map.of());
      try (MoeModel writer = MoeModel.of(model);
          MoeModel opened = MoeModel.open(device, folder)) {
        assertEquals(
            opened.generate("ABC", OPTIONS).tokens(), writer.generate("ABC", OPTIONS).tokens());
      }
      String said =
          assertThrows(PanamoeException.BadArgument.class, () -> MoeModel.of(other)).getMessage();
      assertTrue(said.contains("drops tokens"), said);
      other.save(folder, 1, Map.of());
      try (MoeModel opened = MoeModel.open(device, folder)) {
        assertEquals(20, opened.generate("ABC", OPTIONS).tokens().size());
      }
    }
  }

  @Test
  void aTokenizerOfItsOwn() throws IOException {
    Path tokenizer = folder.resolve("tokenizer.json");
    Files.writeString(tokenizer, TinyTokenizer.json().toString());
    try (Device device = Device.open("cpu", 1);
        TrainableModel bytes = TrainableModel.create(device, SETTINGS, 3);
        TrainableModel words =
            TrainableModel.create(device, ModelSettings.of(421, 32, 16, 2, List.of(0, 4)), 3)) {
      for (Runnable wrong :
          List.<Runnable>of(() -> MoeModel.of(words), () -> MoeModel.of(bytes, tokenizer))) {
        String said = assertThrows(PanamoeException.BadArgument.class, wrong::run).getMessage();
        assertTrue(said.contains("the model has a vocabulary of"), said);
      }
      words.save(folder, 0, Map.of());
      try (MoeModel writer = MoeModel.of(words, tokenizer);
          MoeModel opened = MoeModel.open(device, folder)) {
        assertEquals(
            opened.generate("the cat", OPTIONS).text(), writer.generate("the cat", OPTIONS).text());
        assertEquals("the cat", opened.decode(writer.encode("the cat")));
      }
      assertThrows(
          PanamoeException.BadModel.class, () -> MoeModel.of(words, folder.resolve("no.json")));
    }
  }

  @Test
  void closingTheModelClosesItsWriter() {
    try (Device device = Device.open("cpu", 1)) {
      TrainableModel model = TrainableModel.create(device, SETTINGS, 3);
      MoeModel writer = MoeModel.of(model);
      TextCompletion completion =
          TextService.of(writer, ServiceOptions.USUAL)
              .submit(TextRequest.of("ABC", GenerationOptions.of(1_000_000).withSlide(true)));
      completion.next();
      model.close();
      String said = assertThrows(IllegalStateException.class, completion::join).getMessage();
      assertEquals("the model was closed before the completion ended", said);
      assertThrows(IllegalStateException.class, () -> writer.nextLogits(1));
      assertThrows(PanamoeException.BadArgument.class, () -> MoeModel.of(null));
    }
  }

  @Test
  void theExampleRuns() {
    SmallRun.train(folder, 20);
    int[] sentence = new int[21];
    byte[] bytes = SmallRun.SENTENCE.getBytes(java.nio.charset.StandardCharsets.UTF_8);
    Arrays.setAll(sentence, i -> bytes[i] & 0xff);
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1)) {
      MemorySegment tokens = arena.allocateFrom(ValueLayout.JAVA_INT, sentence);
      MoeModelExample.trained(device, folder, tokens, tokens.asSlice(4), 20);
    }
  }
}
