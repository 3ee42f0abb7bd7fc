package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.data.ByteTokenizer;
import panamoe.engine.schedule.ModelRunner;
import panamoe.model.LanguageModel;
import panamoe.open.ModelFolder;
import panamoe.tensor.DType;
import picocli.CommandLine;

/** {@code --context}; the recorded case {@code phi3_c_longrope} has the short divisors. */
class ContextOptionTest {
  @TempDir private Path folder;

  @Test
  void aContextIsAtMostTheModels() {
    CommandRun run =
        CommandRun.of(
            "generate", "../lab/golden/hf/phi3_c_longrope", "-p", "one", "--context", "300");
    assertEquals(2, run.exitCode(), run.err());
    assertTrue(run.err().contains("context is 300, expected 1 to 256"), run.err());
  }

  @Test
  void aCompletionFillsTheContext() throws IOException {
    Path text = Files.writeString(folder.resolve("text"), "one and two and three ".repeat(300));
    Path model = folder.resolve("run");
    String train = "train --preset tiny --arch mixtral --steps 1 --vocabulary ";
    ran(train + ByteTokenizer.SIZE + " --text " + text + " --out " + model);
    String generate = "generate " + model + " -p one --temperature 0 --max-tokens 20";
    assertFalse(ran(generate).contains("the context was full"));
    assertTrue(ran(generate + " --context 8").contains("the context was full"));
  }

  /** Trained with 8 positions: a larger context takes the long divisors, for short texts too. */
  @Test
  void theTrainedContextTakesTheShortDivisors() {
    assertEquals(greedy(), greedy("--context", "64"), "its own context");
    assertEquals(greedy(), greedy("--context", "9"));
    assertNotEquals(greedy(), greedy("--context", "8"));
  }

  /** Completions of some prompts, up to 8 tokens with the prompt. */
  private static List<List<Integer>> greedy(String... arguments) {
    ModelFolder folder = ModelFolder.open(Path.of("../lab/golden/hf/phi3_d_longrope_long"));
    ModelFolder asked = CommandLine.populateCommand(new ContextOption(), arguments).of(folder);
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel model = asked.load(backend, DType.FLOAT32)) {
      return IntStream.range(0, 16).mapToObj(first -> greedy(backend, model, first)).toList();
    }
  }

  private static List<Integer> greedy(Backend backend, LanguageModel model, int first) {
    List<Integer> tokens = new ArrayList<>(List.of(first));
    while (tokens.size() < 8) {
      int[] soFar = tokens.stream().mapToInt(token -> token).toArray();
      float[] logits = ModelRunner.nextLogits(backend, model, soFar);
      tokens.add(
          IntStream.range(0, logits.length)
              .boxed()
              .max(Comparator.comparing(token -> logits[token]))
              .orElseThrow());
    }
    return tokens;
  }

  private static String ran(String line) {
    CommandRun run = CommandRun.of(line.split(" "));
    assertEquals(0, run.exitCode(), run.err());
    return run.err();
  }
}
