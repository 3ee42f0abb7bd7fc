package panamoe.edit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.model.ModelTensors;
import panamoe.tensor.Tensor;

/** The exact tensors of every {@link Edit}. */
class EditTest {
  private static final Noise SILENT = new Noise(0, 1);
  private static final List<String> OF_EXPERT =
      List.of("up.weight", "up.bias", "down.weight", "down.bias");

  /** Every tensor of the edited model has its elements. */
  private static void assertWhole(Edit edit, Edit.Source source) {
    ModelTensors.shapes(edit.config())
        .forEach(
            (name, shape) ->
                assertEquals(Tensor.count(shape), edit.tensor(name, source).length, name));
  }

  /** These tensors equal the model's of their names. */
  private static void assertKept(Edit edit, Edit.Source source, ModelConfig of, String without) {
    for (String name : ModelTensors.shapes(of).keySet()) {
      if (!name.matches(without)) {
        assertArrayEquals(source.read(name), edit.tensor(name, source), name);
      }
    }
  }

  private static void assertExpert(Edit edit, Edit.Source source, int layer, int expert, int from) {
    for (String tensor : OF_EXPERT) {
      assertArrayEquals(
          source.read(LayerNames.expert(layer, from, tensor)),
          edit.tensor(LayerNames.expert(layer, expert, tensor), source),
          layer + "." + expert + "." + tensor);
    }
  }

  /** Rows of each tensor of the gate. */
  private static void assertRows(
      Edit edit, Edit.Source source, int layer, int before, int... rows) {
    for (String tensor : List.of("weight", "bias", "correction")) {
      String name = "layers." + layer + ".moe.gate." + tensor;
      for (int row = 0; row < rows.length; row++) {
        assertArrayEquals(
            TinyModel.row(source.read(name), rows[row], before),
            TinyModel.row(edit.tensor(name, source), row, rows.length),
            name + " row " + row);
      }
    }
  }

  private static MoeConfig moe(Edit edit, int layer) {
    return (MoeConfig) edit.config().blocks().get(layer).feedForward();
  }

  private static void assertRefused(String expected, Executable edit) {
    IllegalArgumentException refused = assertThrows(IllegalArgumentException.class, edit);
    assertTrue(refused.getMessage().contains(expected), refused.getMessage());
  }

  @Test
  void droppedLayersLeaveTheOthersAsTheyAre() {
    ModelConfig model = TinyModel.of(GateConfig.dropless(1), 0, 2, 0, 4);
    Edit.Source source = TinyModel.numbered(model);
    Edit edit = DroppedLayers.of(model, List.of(2, 1));
    assertEquals(List.of(0, 4), edit.config().experts());
    assertWhole(edit, source);
    for (String name : ModelTensors.shapes(edit.config()).keySet()) {
      String from = name.replace("layers.1.", "layers.3.");
      assertArrayEquals(source.read(from), edit.tensor(name, source), name);
    }
    assertKept(DroppedLayers.none(model), source, model, "");
    assertRefused("layer 4 cannot be dropped: ", () -> DroppedLayers.of(model, List.of(4)));
    assertRefused("-1 cannot be dropped", () -> DroppedLayers.of(model, List.of(-1)));
    assertRefused("all 4 layers", () -> DroppedLayers.of(model, List.of(0, 1, 2, 3)));
  }

  @Test
  void upcyclingCopiesTheMlpToEachExpert() {
    ModelConfig model = TinyModel.of(null, 0, 0, 0);
    Edit.Source source = TinyModel.numbered(model);
    Edit edit = Upcycling.of(model, Upcycling.everySecondLayer(model), 3, 2, SILENT);
    assertEquals(List.of(0, 3, 0), edit.config().experts());
    assertWhole(edit, source);
    for (int expert = 0; expert < 3; expert++) {
      for (String tensor : OF_EXPERT) {
        assertArrayEquals(
            source.read("layers.1.mlp." + tensor),
            edit.tensor(LayerNames.expert(1, expert, tensor), source));
      }
    }
    assertKept(edit, source, model, "layers\\.1\\.mlp.*");
    float[] router = edit.tensor("layers.1.moe.gate.weight", source);
    assertEquals(0.3, Noise.deviation(router), 0.15);
    assertFalse(Arrays.equals(TinyModel.row(router, 0, 3), TinyModel.row(router, 1, 3)));
    assertEquals(GateConfig.dropless(2), moe(edit, 1).gate());
    assertEquals(
        3, moe(Upcycling.of(model, List.of(0), 3, 1, SILENT), 0).gate().weight().scale(), 0);
  }

  @Test
  void noiseIsOfEachCopyAndOfTheSeed() {
    ModelConfig model = TinyModel.of(null, 0, 0);
    Edit.Source source = TinyModel.numbered(model);
    Edit edit = Upcycling.of(model, List.of(0), 2, 1, new Noise(0.01, 1));
    String first = LayerNames.expert(0, 0, "up.weight");
    float[] before = source.read("layers.0.mlp.up.weight");
    float[] noisy = edit.tensor(first, source);
    float[] noise = new float[before.length];
    for (int i = 0; i < noise.length; i++) {
      noise[i] = noisy[i] - before[i];
    }
    double expected = 0.01 * Noise.deviation(before);
    assertEquals(expected, Noise.deviation(noise), expected / 2);
    assertArrayEquals(noisy, edit.tensor(first, source));
    float[] second = edit.tensor(LayerNames.expert(0, 1, "up.weight"), source);
    assertFalse(Arrays.equals(noisy, second));
    Edit other = Upcycling.of(model, List.of(0), 2, 1, new Noise(0.01, 2));
    assertFalse(Arrays.equals(noisy, other.tensor(first, source)));
    assertArrayEquals(
        source.read("layers.0.mlp.up.bias"),
        edit.tensor(LayerNames.expert(0, 0, "up.bias"), source));
    assertRefused("noise is -0.1, expected 0 to 1", () -> new Noise(-0.1, 1));
  }

  @Test
  void upcyclingRefusesWhatItCannotDo() {
    ModelConfig dense = TinyModel.of(null, 0, 0);
    ModelConfig moe = TinyModel.of(GateConfig.dropless(1), 0, 2);
    assertRefused("already", () -> Upcycling.of(moe, List.of(0), 2, 1, SILENT));
    assertRefused("layer 2 cannot", () -> Upcycling.of(dense, List.of(2), 2, 1, SILENT));
    assertRefused("no layer would", () -> Upcycling.of(dense, List.of(), 2, 1, SILENT));
    assertRefused("experts is 0", () -> Upcycling.of(dense, List.of(1), 0, 1, SILENT));
    assertRefused("only 2 experts", () -> Upcycling.of(dense, List.of(1), 2, 3, SILENT));
  }

  @Test
  void aPyramidGrowsByCopiesInTurn() {
    ModelConfig model = TinyModel.of(TinyModel.groupedGate(1), 2, 0, 3);
    Edit.Source source = TinyModel.numbered(model);
    Edit edit = ExpertGrowth.of(model, List.of(5, 3), SILENT);
    assertEquals(List.of(5, 0, 3), edit.config().experts());
    assertWhole(edit, source);
    for (int expert = 0; expert < 5; expert++) {
      assertExpert(edit, source, 0, expert, expert % 2);
    }
    assertRows(edit, source, 0, 2, 0, 1, 0, 1, 0);
    assertKept(edit, source, model, "layers\\.0\\.moe\\.gate.*");
    assertEquals(model.blocks().get(2), edit.config().blocks().get(2));
  }

  @Test
  void onlyCopiesOfAPyramidGetNoise() {
    ModelConfig model = TinyModel.of(TinyModel.groupedGate(1), 2);
    Edit.Source source = TinyModel.numbered(model);
    Edit edit = ExpertGrowth.of(model, List.of(6), new Noise(0.01, 1));
    assertExpert(edit, source, 0, 1, 1);
    String copy = LayerNames.expert(0, 3, "down.weight");
    String other = LayerNames.expert(0, 5, "down.weight");
    float[] origin = source.read(LayerNames.expert(0, 1, "down.weight"));
    assertFalse(Arrays.equals(origin, edit.tensor(copy, source)));
    assertFalse(Arrays.equals(edit.tensor(copy, source), edit.tensor(other, source)));
    float[] rows = edit.tensor("layers.0.moe.gate.weight", source);
    float[] before = source.read("layers.0.moe.gate.weight");
    assertArrayEquals(before, Arrays.copyOf(rows, before.length));
    assertFalse(Arrays.equals(TinyModel.row(rows, 2, 6), TinyModel.row(rows, 0, 6)));
    assertFalse(Arrays.equals(TinyModel.row(rows, 2, 6), TinyModel.row(rows, 4, 6)));
    float[] biases = edit.tensor("layers.0.moe.gate.bias", source);
    assertEquals(biases[0], biases[4]);
  }

  @Test
  void aPyramidOfTheSameCountsIsTheModel() {
    ModelConfig model = TinyModel.of(GateConfig.dropless(1), 0, 2, 0, 4);
    Edit edit = ExpertGrowth.of(model, List.of(2, 4), new Noise(0.5, 1));
    assertEquals(model, edit.config());
    assertKept(edit, TinyModel.numbered(model), model, "");
  }

  @Test
  void groupsOfExpertsGrowAndShrinkApart() {
    ModelConfig model = TinyModel.of(TinyModel.groupedGate(2), 4);
    Edit.Source source = TinyModel.numbered(model);
    Edit grown = ExpertGrowth.of(model, List.of(6), SILENT);
    assertRows(grown, source, 0, 4, 0, 1, 0, 2, 3, 2);
    Edit pruned = ExpertReduction.prune(model, _ -> 2, Map.of(0, new double[] {9, 8, 1, 2}));
    assertRows(pruned, source, 0, 4, 0, 3);
    assertRefused(
        "layer 0: choice.groups is 2, which does not divide 5",
        () -> ExpertGrowth.of(model, List.of(5), SILENT));
  }

  @Test
  void aPyramidThatDoesNotFitIsRefused() {
    ModelConfig model = TinyModel.of(GateConfig.dropless(1), 0, 2, 4);
    assertRefused("layer 2: 4 experts", () -> ExpertGrowth.of(model, List.of(2, 3), SILENT));
    assertRefused("--merge-experts", () -> ExpertGrowth.of(model, List.of(1, 4), SILENT));
    for (List<Integer> counts : List.of(List.of(4), List.of(4, 4, 4))) {
      assertRefused("a number for each MoE layer", () -> ExpertGrowth.of(model, counts, SILENT));
    }
    assertRefused("expected 1 to 1024", () -> ExpertGrowth.of(model, List.of(2, 2000), SILENT));
    ModelConfig dense = TinyModel.of(null, 0);
    assertRefused("no experts", () -> ExpertGrowth.of(dense, List.of(2), SILENT));
  }

  @Test
  void mergedExpertsAreMeansByLoad() {
    ModelConfig model = TinyModel.of(GateConfig.dropless(1), 0, 4);
    Edit.Source source =
        TinyModel.with(
            TinyModel.numbered(model), 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 8, 1, 0, -1, 3, 0, 0);
    // Experts 1 and 3 are used most. Row 2 has the direction of 1; row 0 is opposite to 3,
    // orthogonal to 1.
    Edit edit = ExpertReduction.merge(model, 2, Map.of(1, new long[] {0, 6, 2, 7}), source);
    assertEquals(List.of(0, 2), edit.config().experts());
    assertWhole(edit, source);
    for (String tensor : OF_EXPERT) {
      float[] one = source.read(LayerNames.expert(1, 1, tensor));
      float[] two = source.read(LayerNames.expert(1, 2, tensor));
      float[] merged = edit.tensor(LayerNames.expert(1, 0, tensor), source);
      for (int i = 0; i < merged.length; i++) {
        assertEquals(0.75 * one[i] + 0.25 * two[i], merged[i], 1e-3, tensor + i);
      }
      assertArrayEquals(
          source.read(LayerNames.expert(1, 3, tensor)),
          edit.tensor(LayerNames.expert(1, 1, tensor), source));
    }
    assertArrayEquals(
        new float[] {0, 2.75f, 0.25f, 0, -1, 3, 0, 0},
        edit.tensor("layers.1.moe.gate.weight", source));
    assertKept(edit, source, model, "layers\\.1\\.moe\\.(gate|experts).*");
  }

  @Test
  void unusedExpertsMergeToTheirPlainMean() {
    ModelConfig model = TinyModel.of(GateConfig.dropless(1), 2);
    Edit.Source source = TinyModel.with(TinyModel.numbered(model), 0, 1, 2, 3, 4, 3, 2, 1, 0);
    Edit edit = ExpertReduction.merge(model, 1, Map.of(0, new long[2]), source);
    assertArrayEquals(new float[] {2, 2, 2, 2}, edit.tensor("layers.0.moe.gate.weight", source));
  }

  @Test
  void prunedExpertsLeaveTheOthersInTheirOrder() {
    ModelConfig model = TinyModel.of(TinyModel.groupedGate(1), 4, 0, 3);
    Edit.Source source = TinyModel.numbered(model);
    Map<Integer, double[]> loads = Map.of(0, new double[] {3, 0, 5, 0}, 2, new double[] {1, 1, 1});
    Edit edit = ExpertReduction.prune(model, _ -> 1, loads);
    assertEquals(List.of(3, 0, 2), edit.config().experts());
    assertWhole(edit, source);
    assertRows(edit, source, 0, 4, 0, 1, 2);
    assertRows(edit, source, 2, 3, 0, 1);
    Edit two = ExpertReduction.prune(model, _ -> 2, loads);
    assertRows(two, source, 0, 4, 0, 2);
    assertExpert(two, source, 0, 1, 2);
    assertExpert(two, source, 2, 0, 0);
    assertKept(two, source, model, "layers\\.\\d\\.moe\\.(gate|experts).*");
  }

  @Test
  void aReductionThatDoesNotFitIsRefused() {
    ModelConfig model = TinyModel.of(GateConfig.dropless(2), 3, 4);
    assertRefused("cannot be merged down to 0", () -> ExpertReduction.merged(model, 0));
    assertRefused("layer 0: 3 experts", () -> ExpertReduction.merged(model, 4));
    assertRefused("topK is 2 but", () -> ExpertReduction.merged(model, 1));
    assertRefused("layer 0: 3 of 3 experts", () -> ExpertReduction.pruned(model, _ -> 3));
    assertRefused("1 to 2 can go", () -> ExpertReduction.pruned(model, _ -> 0));
    assertRefused("topK is 2 but", () -> ExpertReduction.pruned(model, _ -> 2));
    ModelConfig dense = TinyModel.of(null, 0);
    assertRefused("no experts", () -> ExpertReduction.merged(dense, 1));
    assertRefused("no experts", () -> ExpertReduction.pruned(dense, _ -> 1));
  }
}
