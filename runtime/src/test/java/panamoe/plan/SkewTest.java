package panamoe.plan;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.config.ModelPresets;
import panamoe.open.ExpertHeat;

class SkewTest {
  @TempDir private Path folder;

  private static String refusal(Runnable skew) {
    return assertThrows(IllegalArgumentException.class, skew::run).getMessage();
  }

  /** Weights 1, 1/2 and 1/3 of 11/6. */
  @Test
  void theLawOfZipf() {
    double[] chosen = new Skew.Zipf(1).chosen(3, 3, 1);
    Arrays.sort(chosen);
    assertArrayEquals(new double[] {2 / 11.0, 3 / 11.0, 6 / 11.0}, chosen, 1e-12);
    assertArrayEquals(new double[] {0.5, 0.5, 0.5, 0.5}, Skew.EVEN.chosen(0, 4, 2), 0);
    assertArrayEquals(new double[] {1, 1}, new Skew.Zipf(2).chosen(0, 2, 2), 0);
  }

  /** Compares with sequential sampling without replacement. */
  @Test
  void noTokenChoosesAnExpertTwice() {
    int experts = 16;
    int topK = 4;
    double[] weights = new double[experts];
    Arrays.setAll(weights, i -> Math.pow(i + 1.0, -0.8));
    SplittableRandom random = new SplittableRandom(1);
    double[] drawn = new double[experts];
    int runs = 5_000;
    for (int run = 0; run < runs; run++) {
      // An exponential race: the first k to arrive are chosen.
      double[] arrivals =
          IntStream.range(0, experts)
              .mapToDouble(i -> -Math.log(random.nextDouble()) / weights[i])
              .toArray();
      IntStream.range(0, experts)
          .boxed()
          .sorted((a, b) -> Double.compare(arrivals[a], arrivals[b]))
          .limit(topK)
          .forEach(expert -> drawn[expert] += 1.0 / runs);
    }
    double[] chosen = new Skew.Zipf(0.8).chosen(0, experts, topK);
    assertEquals(topK, Arrays.stream(chosen).sum(), 1e-9);
    Arrays.sort(chosen);
    Arrays.sort(drawn);
    assertArrayEquals(drawn, chosen, 0.03);
  }

  @Test
  void countsAreReadFromAServersFile() throws IOException {
    Path file =
        Files.writeString(
            folder.resolve("heat.json"),
            "{\"model\": \"m\", \"layers\": [{\"layer\": 1, \"tokens\": [4, 2, 1, 1]}]}");
    Skew skew = Skew.of(file.toString());
    // Eight routes of four tokens, all of which chose the first expert.
    assertArrayEquals(new double[] {1, 0.5, 0.25, 0.25}, skew.chosen(1, 4, 2), 1e-12);
    assertArrayEquals(new double[] {0.5, 0.25, 0.125, 0.125}, skew.chosen(1, 4, 1), 1e-12);
    // Were there three choices, 1.5 of them for the first: the others share the half.
    assertArrayEquals(new double[] {1, 1, 0.5, 0.5}, skew.chosen(1, 4, 3), 1e-12);
    String other = refusal(() -> skew.requireFits(ModelPresets.paper(1024, 2, 16, 64, 0, false)));
    assertEquals(
        file + " has no counts of 64 experts in layer 1: it belongs to another model", other);
    Files.writeString(file, "{\"model\": \"m\", \"layers\": [{\"layer\": 1, \"tokens\": [9, 0]}]}");
    assertEquals(
        file + " has tokens for fewer than 2 experts in layer 1, but each token chooses 2",
        refusal(() -> Skew.of(file.toString()).chosen(1, 2, 2)));
    Files.writeString(file, "{\"model\": \"m\", \"layers\": [{\"layer\": 1, \"tokens\": [0, 0]}]}");
    assertTrue(refusal(() -> Skew.of(file.toString())).contains("layer 1 has no tokens"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"-1", "NaN", "1e400", "5"})
  void refusesExponents(String exponent) {
    assertTrue(
        refusal(() -> Skew.of(exponent))
            .endsWith(", expected an exponent of 0 (even) to 4, or a file of counts"));
  }

  @Test
  void refusesWhatIsNeither() {
    assertEquals(
        "'hot' is neither an exponent such as 0.5 nor a file of counts",
        refusal(() -> Skew.of("hot")));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{}                      | expected \"layers\" with counts",
        "[1]                     | expected \"layers\" with counts",
        "{'layers':[]}           | expected \"layers\" with counts",
        "{'layers':[{'layer':1.5,'tokens':[1]}]} | layers[0].layer: expected the index of a layer",
        "{'layers':[{'layer':1}]} | layers[0].tokens: expected a list of counts",
        "{'layers':[{'layer':1,'tokens':[1,1e400]}]} | layers[0].tokens[1]: expected a whole number",
        "{'layers':[{'layer':1,'tokens':[1.5]}]} | layers[0].tokens[0]: expected a whole number",
        "{'layers':[{'layer':1,'tokens':['a']}]} | layers[0].tokens[0]: expected a whole number",
        "{'layers':[{'layer':1,'tokens':[-1]}]} | layers[0].tokens[0]: expected a whole number",
        "{'layers':[{'layer':1,'tokens':[4611686018427387904]}]} | layers[0].tokens[0]: expected a",
        "{'layers':[{'layer':1,'tokens':[0]}]} | layer 1 has no tokens",
        "{'layers':[{'layer':1,'tokens':[1]},{'layer':1,'tokens':[1]}]} | layers[1].layer: layer 1"
            + " is there twice",
      })
  void foreignCountsAreRefusedByKey(String json, String sentence, @TempDir Path folder)
      throws IOException {
    Path file = Files.writeString(folder.resolve("c.json"), json.replace("'", "\""));
    String refusal = refusal(() -> Skew.of(file.toString()));
    assertTrue(refusal.startsWith(file + ": " + sentence), refusal);
  }

  /** Two experts, two tokens, room for one route each: both choose the same with 1/2. */
  @Test
  void aCapacityDropsWhatExceedsIt() {
    ExpertLoad even = new ExpertLoad(new double[] {0.5, 0.5}, 1, 2);
    assertEquals(0.25, even.withCapacity(2, 1).dropped(), 1e-12);
    assertEquals(0, even.withCapacity(2, 2).dropped(), 1e-12);
    assertEquals(0, even.dropped(), 0);
    assertEquals(5, even.mean(10), 1e-12);
    assertEquals(3.75, even.withCapacity(2, 1).mean(10), 1e-12);
    ExpertLoad skewed = new ExpertLoad(new double[] {0.8, 0.1, 0.05, 0.05}, 1, 2);
    assertEquals(900, skewed.most(1000), 1e-6);
    // Of two experts with all tokens, both are hit.
    assertEquals(2, skewed.mostHit(1000), 1e-6);
  }

  @Test
  void copiesOfHotExpertsEvenTheLoad() {
    long[] counts = {60, 20, 10, 10};
    Skew skew = new Skew.Measured("a test", List.of(new ExpertHeat.Layer(1, counts)));
    SkewSweep sweep = new SkewSweep(ModelPresets.paper(64, 2, 4, 4, 0, false), skew, 1000, 4);
    List<SkewSweep.Row> rows = sweep.rows();
    assertEquals(6, rows.size());
    SkewSweep.Row measured = rows.getLast();
    assertEquals(skew, measured.skew());
    // 600 of 1000 tokens are for an expert that has room for 250; the others have room.
    assertEquals(0.35, measured.dropped().get(1.0), 1e-3);
    assertEquals(0, measured.dropped().get(4.0), 1e-9);
    // 60 of a mean of 25; with a copy on each other rank, 60 / 4 and its own.
    assertEquals(2.4, measured.load().get(0), 1e-6);
    assertTrue(measured.load().get(1) < 1.6, "" + measured.load().get(1));
    assertTrue(measured.load().get(4) <= measured.load().get(1));
    SkewSweep.Row even = rows.getFirst();
    assertEquals(1, even.load().get(0), 1e-9);
    for (int i = 1; i < 5; i++) {
      assertTrue(rows.get(i).dropped().get(1.0) > rows.get(i - 1).dropped().get(1.0));
    }
    assertEquals(
        "the model has no experts that tokens could choose unevenly",
        refusal(() -> skew.requireFits(ModelPresets.paper(64, 2, 4, 0, 0, false))));
  }
}
