package panamoe.quantize;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import panamoe.model.ModelTensors.QuantizedMatrix;
import panamoe.quantize.Sensitivity.Option;
import panamoe.quantize.Sensitivity.Stack;

class FormatChoiceTest {
  private static final long OTHERS = 10;

  private static Option option(String format, long bytes, double loss) {
    return new Option(QuantizationFormat.named(format), bytes, loss);
  }

  private static Sensitivity of(List<List<Option>> options) {
    List<Stack> stacks = new ArrayList<>();
    for (int i = 0; i < options.size(); i++) {
      String name = "layers." + i + ".mlp.up.weight";
      QuantizedMatrix matrix = new QuantizedMatrix(name, name, i, -1, 32, 32);
      stacks.add(new Stack(List.of(matrix), "layers.*.mlp.up.weight", options.get(i)));
    }
    return new Sensitivity(stacks, Map.of(), OTHERS, 100);
  }

  private static String names(FormatChoice choice) {
    return choice.options().stream().map(it -> it.format().name()).toList().toString();
  }

  private static final Sensitivity TWO =
      of(
          List.of(
              List.of(option("q4_0", 4, 8), option("q5_0", 5, 2), option("q8_0", 8, 1)),
              List.of(
                  option("keep", 16, 0),
                  option("q8_0", 8, 0.5),
                  option("q6_k", 7, 1.9), // above the line from q4_0 to q8_0
                  option("q4_0", 4, 2))));

  @Test
  void bytesGoWhereTheySaveMostLoss() {
    assertEquals("[q4_0, q4_0]", names(FormatChoice.ofSize(TWO, 18)));
    assertEquals("[q5_0, q4_0]", names(FormatChoice.ofSize(TWO, 19)));
    assertEquals("[q5_0, q4_0]", names(FormatChoice.ofSize(TWO, 21)), "neither q8_0 fits");
    assertEquals("[q8_0, q4_0]", names(FormatChoice.ofSize(TWO, 22)));
    assertEquals("[q5_0, q8_0]", names(FormatChoice.ofSize(TWO, 23)));
    assertEquals("[q8_0, q8_0]", names(FormatChoice.ofSize(TWO, 26)));
    assertEquals("[q8_0, keep]", names(FormatChoice.ofSize(TWO, 1000)));
    FormatChoice five = FormatChoice.ofSize(TWO, 23);
    assertEquals(OTHERS + 5 + 8, five.bytes());
    assertEquals(2 + 0.5, five.loss(), 1e-9);
    String said =
        assertThrows(IllegalArgumentException.class, () -> FormatChoice.ofSize(TWO, 17))
            .getMessage();
    assertEquals("the size is 17 bytes, but in the smallest formats the model has 18", said);
  }

  @Test
  void aLargeStackIsNotKeptSmallBySmallOnes() {
    Sensitivity unequal =
        of(
            List.of(
                List.of(option("q4_0", 4, 1), option("q5_0", 5, 0.7)),
                List.of(option("q4_0", 40, 10), option("q5_0", 50, 8))));
    assertEquals("[q4_0, q5_0]", names(FormatChoice.ofSize(unequal, OTHERS + 4 + 50)));
    assertEquals("[q5_0, q4_0]", names(FormatChoice.ofSize(unequal, OTHERS + 4 + 49)));
  }

  @Test
  void aLossIsReachedWithFewBytes() {
    assertEquals("[q4_0, q4_0]", names(FormatChoice.ofLoss(TWO, 10)));
    assertEquals("[q5_0, q4_0]", names(FormatChoice.ofLoss(TWO, 4)));
    assertEquals("[q5_0, q8_0]", names(FormatChoice.ofLoss(TWO, 3.9)));
    assertEquals("[q8_0, keep]", names(FormatChoice.ofLoss(TWO, 0)));
  }

  /** No choice of as many bytes as a prefix of the steps has a smaller loss. */
  @Test
  void noOtherChoiceOfAsManyBytesIsBetter() {
    Random random = new Random(5);
    for (int round = 0; round < 200; round++) {
      List<List<Option>> options = new ArrayList<>();
      for (int stack = 0; stack < 4; stack++) {
        List<Option> some = new ArrayList<>();
        for (String format : List.of("q4_0", "q5_0", "q6_k", "q8_0")) {
          some.add(option(format, 1 + random.nextInt(20), random.nextDouble()));
        }
        options.add(some);
      }
      Sensitivity sensitivity = of(options);
      FormatChoice chosen = FormatChoice.ofLoss(sensitivity, random.nextDouble(0.2, 3));
      double best = Double.POSITIVE_INFINITY;
      for (int code = 0; code < 256; code++) {
        long bytes = OTHERS;
        double loss = 0;
        for (int stack = 0; stack < 4; stack++) {
          Option one = options.get(stack).get(code >> 2 * stack & 3);
          bytes += one.bytes();
          loss += one.loss();
        }
        best = bytes <= chosen.bytes() ? Math.min(best, loss) : best;
      }
      assertEquals(best, chosen.loss(), 1e-9);
    }
  }

  @Test
  void aPlanRepeatsTheChoice() {
    Map<QuantizedMatrix, QuantizationFormat> formats =
        FormatChoice.ofSize(TWO, 23).formats(Map.of());
    QuantizationPlan plan = QuantizationPlan.of(formats);
    assertEquals(2, plan.rules().size());
    assertEquals("0", plan.rules().getFirst().layers());
    assertEquals(formats, plan.of(List.copyOf(formats.keySet())));
  }

  @Test
  void aPlanHasRangesOfLayersAndOfExpertsThatDiffer() {
    Map<QuantizedMatrix, QuantizationFormat> formats = new LinkedHashMap<>();
    for (int layer : new int[] {0, 1, 2, 5}) {
      for (int expert = 0; expert < 4; expert++) {
        String stack = "layers." + layer + ".moe.experts.up.weight";
        String name = "layers." + layer + ".moe.experts." + expert + ".up.weight";
        boolean apart = layer == 5 && expert == 2;
        formats.put(
            new QuantizedMatrix(name, stack, layer, expert, 32, 32),
            QuantizationFormat.named(apart ? "q8_0" : "q4_k"));
      }
    }
    formats.put(
        new QuantizedMatrix("embedding.weight", "embedding.weight", -1, -1, 32, 32),
        QuantizationFormat.KEEP);
    QuantizationPlan plan = QuantizationPlan.of(formats);
    String experts = "layers.*.moe.experts.*.up.weight";
    assertEquals(
        List.of(
            new QuantizationPlan.Rule(experts, "0-2", null, QuantizationFormat.named("q4_k")),
            new QuantizationPlan.Rule(experts, "5", "0-1,3", QuantizationFormat.named("q4_k")),
            new QuantizationPlan.Rule(experts, "5", "2", QuantizationFormat.named("q8_0")),
            new QuantizationPlan.Rule("embedding.weight", null, null, QuantizationFormat.KEEP)),
        plan.rules());
    assertTrue(plan.of(List.copyOf(formats.keySet())).equals(formats));
  }
}
