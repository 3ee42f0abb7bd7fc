package panamoe.peers;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.PrintWriter;
import java.io.Writer;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.checkpoint.LowRank;
import panamoe.config.LatentAttentionConfig;
import panamoe.engine.schedule.ModelRunner;
import panamoe.harness.Main;
import panamoe.model.LanguageModel;
import panamoe.open.ModelFolder;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.testkit.FamilyTable;
import picocli.CommandLine;

/** libllama applies the adapters that are written here. Skipped without it. */
@Tag("slow")
class LlamaAdapterTest {
  private static final Path LIBRARY =
      Path.of("../../build/peers/llama").toAbsolutePath().normalize();
  private static final int LENGTH = 12;

  @TempDir private Path folder;

  @BeforeEach
  void isInstalled() {
    assumeTrue(Files.isDirectory(LIBRARY), "ci/fetch/peers has not installed libllama");
  }

  private static void run(String line) {
    CommandLine commands = Main.commandLine().setOut(new PrintWriter(Writer.nullWriter()));
    assertEquals(0, commands.execute(line.split(" ")));
  }

  static Stream<String> models() {
    return Stream.concat(
        FamilyTable.exportedToGguf().stream(), Stream.of("gpt_oss_d_releasedrope"));
  }

  /** An adapter of every matrix that llama.cpp adapts. */
  @ParameterizedTest
  @MethodSource("models")
  void computesTheLogitsOfTheMergedModel(String name) throws Exception {
    Path base = folder.resolve("base");
    Path file = folder.resolve("base.gguf");
    Path adapter = folder.resolve("adapter.gguf");
    Path merged = folder.resolve("merged");
    String to = " --without-tokenizer --dtype f32 --out ";
    run("export ../golden/hf/" + name + " --to hf" + to + base);
    run("export ../golden/hf/" + name + " --to gguf" + to + file);
    ModelFolder model = ModelFolder.open(base);
    model.exported(Map.of()).adapters().writeGguf(adapter, everywhere(model, name));
    run("edit " + base + " --merge-lora " + adapter + " --out " + merged);
    int vocabulary = model.config().vocabulary();
    int[] prompt = new Random(3).ints(LENGTH, 0, vocabulary).toArray();
    float[] theirs = theirs(file, adapter, prompt);
    float[] without = theirs(file, null, prompt);
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel ours = ModelFolder.open(merged).load(backend, DType.FLOAT32)) {
      float[] expected = ModelRunner.nextLogits(backend, ours, prompt);
      float most = distance(expected, new float[vocabulary]);
      assertTrue(distance(expected, without) > 0.02 * most);
      float tolerance = name.startsWith("gemma") ? 1e-2f : 1e-4f;
      assertArrayEquals(expected, theirs, tolerance * Math.max(1, most));
    }
  }

  private static float distance(float[] one, float[] other) {
    float most = 0;
    for (int i = 0; i < one.length; i++) {
      most = Math.max(most, Math.abs(one[i] - other[i]));
    }
    return most;
  }

  /** Libllama ignores latent attention's inputs, and leaves out a factor of Gemma 4's experts. */
  private static Map<String, LowRank> everywhere(ModelFolder model, String name) {
    boolean latent =
        model.config().blocks().getFirst().attention() instanceof LatentAttentionConfig;
    Predicate<String> ignored =
        latent
            ? Pattern.compile("\\.attention\\.(?!output)|^head").asPredicate()
            : weight -> name.equals("gemma4_c_moe") && weight.endsWith("experts.down.weight");
    Random random = new Random(7);
    Map<String, LowRank> adapters = new LinkedHashMap<>();
    try (LanguageModel whole = new LanguageModel(model.config())) {
      for (Parameter each : whole.parameters().parameters()) {
        long[] shape = each.matrixShape();
        boolean matrix = each.role() == Parameter.Role.OPERAND && shape.length == 2;
        if (matrix && !each.name().startsWith("embedding.") && !ignored.test(each.name())) {
          for (int i = 0; i < each.matrices(); i++) {
            float[] a = floats(random, 2 * shape[1]);
            float[] b = floats(random, 2 * shape[0]);
            adapters.put(each.tensorName(i), new LowRank(2, a, b, 1.5));
          }
        }
      }
    }
    return adapters;
  }

  private static float[] floats(Random random, long count) {
    float[] values = new float[(int) count];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian(0, 0.1);
    }
    return values;
  }

  /** The logits behind a prompt; with no adapter for null. */
  private static float[] theirs(Path file, Path adapter, int... prompt) {
    LibLlama library = new LibLlama(LIBRARY);
    MemorySegment model = library.loadModel(file, false);
    try (LlamaSequences text =
        new LlamaSequences(library, model, 1, LENGTH, LENGTH, 1, DType.FLOAT32)) {
      if (adapter != null) {
        text.adapt(adapter);
      }
      for (int i = 0; i < prompt.length; i++) {
        text.add(prompt[i], 0, i, i == prompt.length - 1);
      }
      text.decode();
      return text.logits(prompt.length - 1, library.vocabulary(model));
    } finally {
      library.freeModel(model);
    }
  }
}
