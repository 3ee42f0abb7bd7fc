package panamoe.peers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.PrintWriter;
import java.io.Writer;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.checkpoint.gguf.GgufWriter;
import panamoe.harness.Main;
import panamoe.lab.conformance.llamacpp.TextComparison;
import panamoe.tensor.DType;
import picocli.CommandLine;

/**
 * The perplexity of a chosen mix of formats in libllama, with our rounding and with ggml's. Skipped
 * unless ci/fetch/peers has installed it.
 */
@Tag("slow")
class LlamaMixTest {
  private static final Path LIBRARY =
      Path.of("../../build/peers/llama").toAbsolutePath().normalize();
  private static final int SCORED = 100;
  private static final int PASSAGES = 20;

  /** The part of a chosen mix's perplexity by which ggml's rounding may be better. */
  private static final double TOLERANCE = 0.01;

  @TempDir private Path folder;

  @BeforeEach
  void isInstalled() {
    assumeTrue(Files.isDirectory(LIBRARY), "ci/fetch/peers has not installed libllama");
  }

  private static void run(String line) {
    CommandLine commands = Main.commandLine().setOut(new PrintWriter(Writer.nullWriter()));
    assertEquals(0, commands.execute(line.split(" ")));
  }

  /** The wider model has rows for blocks of 256. */
  @ParameterizedTest
  @CsvSource({"tiny, 60", "demo, 40"})
  void aMixRoundedHereIsAsGoodAsGgmls(String preset, int steps) throws Throwable {
    String[] words = {"the", "committee", "thanks", "its", "members", "for", "this", "vote"};
    StringBuilder all = new StringBuilder();
    new Random(1)
        .ints(6000, 0, words.length)
        .forEach(i -> all.append(words[i]).append(i % 7 == 0 ? ".\n" : " "));
    Path text = Files.writeString(folder.resolve("text"), all);
    Path model = folder.resolve("model");
    String shape = "--preset " + preset + " --arch mixtral --vocabulary 257";
    run("train " + shape + " --steps " + steps + " --text " + text + " --out " + model);
    Path chosen = folder.resolve("chosen");
    Path imatrix = folder.resolve("imatrix.gguf");
    run("quantize " + model + " --size 5bpw --imatrix-out " + imatrix + " --out " + chosen);
    Path exact = folder.resolve("exact.gguf");
    Path ours = folder.resolve("ours.gguf");
    run("export " + model + " --to gguf --out " + exact);
    run("export " + chosen + " --to gguf --out " + ours);
    Path theirs = folder.resolve("theirs.gguf");
    Set<StoredType> mix = roundedByGgml(exact, ours, imatrix, theirs);
    assertTrue(mix.size() > 1, mix::toString);
    LibLlama library = new LibLlama(LIBRARY);
    double source = perplexity(library, exact, all);
    double here = perplexity(library, ours, all);
    double there = perplexity(library, theirs, all);
    assertNotEquals(source, here);
    assertNotEquals(here, there);
    assertTrue(here <= there * (1 + TOLERANCE), source + ", " + here + ", " + there);
    assertEquals(source, here, 0.05 * source);
  }

  private static double perplexity(LibLlama library, Path file, CharSequence text) {
    double nats = 0;
    for (int i = 0; i < PASSAGES; i++) {
      String passage = text.subSequence(1000 * i, 1000 * i + 2 * SCORED).toString();
      nats +=
          LlamaText.answer(
                  library, new TextComparison.Question(file.toString(), passage, 1, SCORED, 16, 1))
              .nats();
    }
    return Math.exp(nats / PASSAGES / (SCORED - 1));
  }

  /** Writes the tensors of {@code exact} in the types of {@code mix}; returns those in blocks. */
  private static Set<StoredType> roundedByGgml(Path exact, Path mix, Path imatrix, Path to)
      throws Throwable {
    Set<StoredType> types = new HashSet<>();
    try (GgufFile floats = GgufFile.open(exact);
        GgufFile formats = GgufFile.open(mix);
        GgufFile importances = GgufFile.open(imatrix);
        Arena arena = Arena.ofConfined()) {
      GgufWriter writer = new GgufWriter().copy(floats.metadata(), "");
      for (StoredTensor tensor : floats.tensors().values()) {
        MemorySegment x = read(floats, tensor, arena);
        StoredTensor wanted = formats.tensors().get(tensor.name());
        DType dtype = wanted.type().blocks().orElse(DType.FLOAT32);
        MemorySegment stored = x;
        if (dtype.isBlocks()) {
          types.add(wanted.type());
          StoredTensor sums = importances.tensors().get(tensor.name() + ".in_sum2");
          MemorySegment weights =
              sums == null ? MemorySegment.NULL : read(importances, sums, arena);
          stored = rounded(x, tensor.shape(), wanted.type(), weights, arena);
        }
        List<MemorySegment> parts = List.of(stored);
        writer.add(tensor.name(), dtype, tensor.shape(), () -> parts);
      }
      writer.write(to, _ -> {});
    }
    return types;
  }

  private static MemorySegment read(GgufFile file, StoredTensor tensor, Arena arena) {
    assertEquals(StoredType.F32, tensor.type(), tensor.name());
    MemorySegment bytes = arena.allocate(tensor.bytes(), Float.BYTES);
    file.read(tensor, 0, bytes);
    return bytes;
  }

  /** Calls ggml_quantize_chunk for each matrix of a stack, with its own weights of columns. */
  @SuppressWarnings("restricted") // foreign functions
  private static MemorySegment rounded(
      MemorySegment x, long[] shape, StoredType type, MemorySegment weights, Arena arena)
      throws Throwable {
    SymbolLookup ggml =
        SymbolLookup.libraryLookup(LIBRARY.resolve("libggml-base.so"), Arena.global());
    MethodHandle quantize =
        Linker.nativeLinker()
            .downcallHandle(
                ggml.findOrThrow("ggml_quantize_chunk"),
                FunctionDescriptor.of(
                    ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_INT,
                    ValueLayout.ADDRESS,
                    ValueLayout.ADDRESS,
                    ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_LONG,
                    ValueLayout.ADDRESS));
    long matrices = shape.length == 3 ? shape[0] : 1;
    long rows = shape[shape.length - 2];
    long columns = shape[shape.length - 1];
    long floats = rows * columns * Float.BYTES;
    long bytes = rows * columns / type.elements() * type.bytes();
    MemorySegment blocks = arena.allocate(matrices * bytes, Long.BYTES);
    for (long i = 0; i < matrices; i++) {
      MemorySegment own =
          weights.equals(MemorySegment.NULL)
              ? weights
              : weights.asSlice(i * columns * Float.BYTES, columns * Float.BYTES);
      Object written =
          quantize.invokeWithArguments(
              type.gguf(),
              x.asSlice(i * floats, floats),
              blocks.asSlice(i * bytes, bytes),
              0L,
              rows,
              columns,
              own);
      assertEquals(bytes, written);
    }
    return blocks;
  }
}
