package panamoe.peers;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.PrintWriter;
import java.io.Writer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.checkpoint.gguf.GgufWriter;
import panamoe.data.ByteTokenizer;
import panamoe.engine.schedule.ModelRunner;
import panamoe.harness.ComputeType;
import panamoe.harness.Main;
import panamoe.lab.bench.BenchKind;
import panamoe.lab.bench.GenerationModel;
import panamoe.lab.bench.LayerShape;
import panamoe.lab.bench.PeerRequest;
import panamoe.lab.conformance.llamacpp.LlamaComparison;
import panamoe.lab.conformance.llamacpp.TextComparison;
import panamoe.lab.conformance.replay.ModelReplay;
import panamoe.model.LanguageModel;
import panamoe.model.family.Family;
import panamoe.model.family.Keys;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.open.StoredWeights;
import panamoe.param.Parameter;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import picocli.CommandLine;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Compares libllama with our model. Skipped unless ci/fetch/peers has installed it. */
@Tag("slow")
class LlamaRunTest {
  private static final PeerRequest.Texts ONE =
      new PeerRequest.Texts(1, GenerationModel.VOCABULARY, null);
  private static final Path LIBRARY =
      Path.of("../../build/peers/llama").toAbsolutePath().normalize();
  private static final int VOCABULARY = 300;
  private static final int TEXTS = 3;
  private static final int LENGTH = 20;

  @TempDir private Path folder;

  @BeforeEach
  void isInstalled() {
    assumeTrue(Files.isDirectory(LIBRARY), "ci/fetch/peers has not installed libllama");
  }

  /** With a wrong struct layout, the library's settings would be in other fields. */
  @Test
  void settingsAreInTheirFields() {
    LibLlama library = new LibLlama(LIBRARY);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment context = library.contextDefaults(arena);
      assertEquals(512, number(context, "n_ctx"));
      assertEquals(2048, number(context, "n_batch"));
      assertEquals(512, number(context, "n_ubatch"));
      assertEquals(1, number(context, "n_seq_max"));
      assertEquals(4, number(context, "n_threads"));
      assertEquals(4, number(context, "n_threads_batch"));
      assertEquals(-1, number(context, "flash_attn_type"));
      assertEquals(1, number(context, "type_k"));
      assertEquals(1, number(context, "type_v"));
      PathElement offload = PathElement.groupElement("offload_kqv");
      long at = LibLlama.CONTEXT_PARAMS.byteOffset(offload);
      assertTrue(context.get(ValueLayout.JAVA_BOOLEAN, at));
      MemorySegment model = library.modelDefaults(arena);
      at = LibLlama.MODEL_PARAMS.byteOffset(PathElement.groupElement("load_mode"));
      assertEquals(-1, model.get(ValueLayout.JAVA_INT, at));
      at = LibLlama.MODEL_PARAMS.byteOffset(PathElement.groupElement("use_extra_bufts"));
      assertTrue(model.get(ValueLayout.JAVA_BOOLEAN, at));
    }
  }

  private static int number(MemorySegment params, String field) {
    PathElement at = PathElement.groupElement(field);
    return params.get(ValueLayout.JAVA_INT, LibLlama.CONTEXT_PARAMS.byteOffset(at));
  }

  /**
   * Sequences of several lengths, decoded as a batch. In bfloat16 a token uses every expert, so
   * that rounding does not change the choice.
   */
  @ParameterizedTest
  @CsvSource({
    "128x96x8x2-swiglu, FLOAT32, 1e-5",
    "192x64x16x4-swiglu, FLOAT32, 1e-5",
    "128x96x8x1-swiglu, FLOAT32, 1e-5",
    "128x96x4x4-swiglu, BFLOAT16, 4e-2"
  })
  void computesOurLogits(String shape, DType dtype, float tolerance) throws Exception {
    LanguageModel ours =
        new LanguageModel(GenerationModel.QWEN3.config(LayerShape.parse(shape), VOCABULARY));
    Random random = new Random(3);
    int[][] tokens = new int[TEXTS][];
    for (int text = 0; text < TEXTS; text++) {
      tokens[text] = random.ints(LENGTH - 5 * text, 0, VOCABULARY).toArray();
    }
    try (Backend backend = Backends.open("cpu", 1);
        ours) {
      ours.materialize(backend, dtype, false, 5);
      for (Parameter parameter : ours.parameters().parameters()) {
        scatter(parameter, random);
      }
      ours.parameters().refresh(backend);
      Path file = folder.resolve("model.gguf");
      Qwen3File.of(ours, dtype).write(file, _ -> {});
      float[][] theirs = theirs(file, dtype, tokens);
      ours.pack(backend, dtype);
      for (int text = 0; text < TEXTS; text++) {
        float[] expected = ModelRunner.nextLogits(backend, ours, tokens[text]);
        float most = 0;
        for (float logit : expected) {
          most = Math.max(most, Math.abs(logit));
        }
        for (int i = 0; i < VOCABULARY; i++) {
          assertEquals(expected[i] / most, theirs[text][i] / most, tolerance, "text " + text);
        }
      }
    }
  }

  /** Nontrivial norm weights, and matrices large enough that every part matters. */
  private static void scatter(Parameter parameter, Random random) {
    float[] values = parameter.master().toFloats();
    for (int i = 0; i < values.length; i++) {
      values[i] = values[i] == 1 ? 0.5f + random.nextFloat() : 5 * values[i];
    }
    parameter.master().set(values);
  }

  private static float[][] theirs(Path file, DType dtype, int[][] tokens) {
    LibLlama library = new LibLlama(LIBRARY);
    MemorySegment model = library.loadModel(file, false);
    try (LlamaSequences texts =
        new LlamaSequences(library, model, TEXTS, LENGTH, LENGTH, 1, dtype)) {
      for (int text = 0; text < TEXTS; text++) {
        for (int i = 0; i < tokens[text].length - 1; i++) {
          texts.add(tokens[text][i], text, i, false);
        }
        texts.decode();
      }
      assertThrows(IllegalArgumentException.class, () -> texts.logits(0, VOCABULARY));
      // A removed step leaves no trace in the longest sequence.
      texts.add(7, 0, LENGTH - 1, true);
      texts.decode();
      texts.cut(LENGTH - 1);
      for (int text = 0; text < TEXTS; text++) {
        int last = tokens[text].length - 1;
        texts.add(tokens[text][last], text, last, true);
      }
      texts.decode();
      return Stream.iterate(0, text -> text + 1)
          .limit(TEXTS)
          .map(text -> texts.logits(text, VOCABULARY))
          .toArray(float[][]::new);
    } finally {
      library.freeModel(model);
    }
  }

  /** Also after changes of tokens, kind and dtype; weights are written once. */
  @Test
  void answersQuestions() throws Exception {
    try (PeerRun run = new LlamaRun(LIBRARY, folder, 1)) {
      for (ComputeType dtype : ComputeType.values()) {
        for (BenchKind kind :
            List.of(BenchKind.DECODE_BATCH, BenchKind.DECODE, BenchKind.PREFILL)) {
          PeerRequest.Work work =
              new PeerRequest.Work(kind, "qwen3moe", 64, 32, 4, 2, true, 1, dtype, 1);
          assertEquals(1, run.burst(new PeerRequest(work, 1, 16, 1e-9, ONE)).length);
          assertEquals(1, run.burst(new PeerRequest(work, 5, 16, 1e-9, ONE)).length);
        }
      }
      assertEquals(2, folder.toFile().list().length, Arrays.toString(folder.toFile().list()));
      PeerRequest.Work many =
          new PeerRequest.Work(
              BenchKind.DECODE_BATCH, "qwen3moe", 64, 32, 4, 2, true, 1, ComputeType.F32, 1);
      Exception error =
          assertThrows(
              IllegalArgumentException.class,
              () -> run.burst(new PeerRequest(many, 257, 16, 1e-9, ONE)));
      assertEquals("libllama decodes at most 256 sequences together, not 257", error.getMessage());
    }
  }

  /** A mapped file gives the completion of a file read into memory. */
  @Test
  void mapsAFile() throws Exception {
    LayerShape shape = LayerShape.parse("128x96x8x2-swiglu");
    Path file = folder.resolve("model.gguf");
    LanguageModel ours = new LanguageModel(GenerationModel.QWEN3.config(shape, VOCABULARY));
    try (Backend backend = Backends.open("cpu", 1);
        ours) {
      ours.materialize(backend, DType.FLOAT32, false, 5);
      Qwen3File.of(ours, DType.FLOAT32).write(file, _ -> {});
    }
    JsonMapper json = JsonMapper.shared();
    int[] prompt = {5, 9};
    LibLlama library = new LibLlama(LIBRARY);
    LlamaComparison.Answer mapped =
        GreedyCompletion.answer(
            library, new LlamaComparison.Question(file.toString(), true, 1, prompt, 4));
    LlamaComparison.Answer read =
        GreedyCompletion.answer(
            library, new LlamaComparison.Question(file.toString(), false, 1, prompt, 4));
    assertArrayEquals(read.ids(), mapped.ids());
    assertTrue(mapped.seconds() > 0 && mapped.bytesRead() >= 0);
  }

  /** A model trained from scratch, on bytes without merges, and with a trained tokenizer. */
  @ParameterizedTest
  @ValueSource(ints = {ByteTokenizer.SIZE, 262})
  void opensWhatExportWrites(int vocabulary) throws Exception {
    Path text = Files.writeString(folder.resolve("text"), "one and two and three ".repeat(300));
    Path run = folder.resolve("run");
    Path file = folder.resolve("model.gguf");
    String train = "train --preset tiny --arch mixtral --steps 2 --vocabulary " + vocabulary;
    run(train + " --text " + text + " --out " + run);
    run("export " + run + " --to gguf --out " + file);
    assertComputesOurLogits(file, vocabulary, 1e-4f);
  }

  /** Tokens, perplexity and greedy tokens; the trained tokenizer puts no token before a text. */
  @Test
  void readsATextAsWeDo() throws Exception {
    Path text = Files.writeString(folder.resolve("text"), "one and two and three ".repeat(300));
    Path run = folder.resolve("run");
    Path file = folder.resolve("model.gguf");
    String train = "train --preset tiny --arch mixtral --steps 2 --vocabulary 262";
    run(train + " --text " + text + " --out " + run);
    run("export " + run + " --to gguf --dtype bf16 --out " + file);
    String words = Files.readString(text).substring(0, 400);
    TextComparison.Answer theirs =
        LlamaText.answer(
            new LibLlama(LIBRARY),
            new TextComparison.Question(file.toString(), words, 1, 80, 64, 16));
    ModelFolder model = ModelFolder.open(file);
    assertArrayEquals(model.tokenizer().encode(words), theirs.tokens());
    double nats = 0;
    try (Backend backend = Backends.open("cpu", 1);
        ModelReplay ours = new ModelReplay(backend, model, WeightTypes.of(DType.FLOAT32))) {
      float[] logits =
          ours.logits(Arrays.stream(theirs.tokens()).limit(80).asLongStream().toArray());
      for (int i = 1; i < 80; i++) {
        float[] before = Arrays.copyOfRange(logits, (i - 1) * 262, i * 262);
        nats += TextComparison.nats(before, theirs.tokens()[i]);
      }
    }
    assertEquals(1, nats / theirs.nats(), 1e-3);
    assertEquals(16, theirs.ids().length);
  }

  /**
   * A model that transformers made, written as llama.cpp's architecture for its family. ggml takes
   * GELU from a table in float16, which explains 2e-3 in Gemma.
   */
  @ParameterizedTest
  @MethodSource("panamoe.testkit.FamilyTable#exportedToGguf")
  void computesWhatFamiliesCompute(String name) throws Exception {
    Path model = Path.of("../golden/hf").resolve(name);
    Path file = folder.resolve(name + ".gguf");
    run("export " + model + " --without-tokenizer --to gguf --out " + file);
    float tolerance = name.startsWith("gemma") ? 1e-2f : 1e-4f;
    assertComputesOurLogits(file, ModelFolder.open(file).config().vocabulary(), tolerance);
  }

  /**
   * Models that differ from the recorded case of their family, with random weights. llama.cpp loads
   * no alternating layers of ERNIE, and has fixed chunks and temperature for Llama 4, which has 128
   * experts without a norm of queries (Maverick) or another number with it (Scout).
   */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "ernie4_5_moe_b | {'moe_layer_interval': 1} | 1e-4",
        "llama4_b | {'attention_chunk_size': 8192, 'floor_scale': 8192, 'use_qk_norm': true} | 1e-4",
        "llama4_b | {'attention_chunk_size': 8192, 'floor_scale': 8192, 'use_qk_norm': true,"
            + " 'moe_layers': [0, 1, 2, 3], 'tie_word_embeddings': true, 'rope_parameters':"
            + " {'rope_theta': 5e5, 'rope_type': 'llama3', 'factor': 8.0, 'low_freq_factor': 1.0,"
            + " 'high_freq_factor': 4.0, 'original_max_position_embeddings': 16}} | 1e-4",
        "llama4_b | {'attention_chunk_size': 8192, 'floor_scale': 8192, 'num_local_experts': 128}"
            + " | 1e-4",
        "gemma4_c_moe | {'enable_moe_block': false} | 1e-2"
      })
  void computesWhatNobodyRecorded(String name, String changes, float tolerance) throws Exception {
    Path recorded = Path.of("../golden/hf").resolve(name).resolve("config.json");
    ObjectNode keys = (ObjectNode) JsonMapper.shared().readTree(recorded.toFile());
    keys.setAll((ObjectNode) JsonMapper.shared().readTree(changes.replace('\'', '"')));
    String type = keys.get("model_type").asString();
    Path file = folder.resolve("model.gguf");
    Random random = new Random(3);
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel ours =
            new LanguageModel(Family.named(type).orElseThrow().model(new Keys(recorded, keys)))) {
      ours.materialize(backend, DType.FLOAT32, false, 5);
      for (Parameter parameter : ours.parameters().parameters()) {
        scatter(parameter, random);
      }
      ours.parameters().refresh(backend);
      Qwen3File.of(ours, DType.FLOAT32).write(file, _ -> {});
    }
    assertEquals(type, ((StoredWeights.Released) ModelFolder.open(file).weights()).model().type());
    assertComputesOurLogits(file, 128, tolerance);
  }

  /**
   * Latent attention in blocks, with all experts for each token. Libllama rounds activations too:
   * our error against decoded weights is at most twice its own.
   */
  @Test
  void computesLatentAttentionInBlocks() throws Exception {
    Path recorded = Path.of("../golden/hf/deepseek_v3_a/config.json");
    ObjectNode keys = (ObjectNode) JsonMapper.shared().readTree(recorded.toFile());
    keys.put("qk_nope_head_dim", 32).put("qk_head_dim", 40).put("v_head_dim", 32);
    keys.put("kv_lora_rank", 64).put("q_lora_rank", 32).put("moe_intermediate_size", 64);
    keys.put("num_experts_per_tok", 8).put("n_group", 1).put("topk_group", 1);
    Path file = folder.resolve("model.gguf");
    Random random = new Random(3);
    int[] prompt = random.ints(LENGTH, 0, 256).toArray();
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel drawn =
            new LanguageModel(
                Family.named("deepseek_v3").orElseThrow().model(new Keys(recorded, keys)))) {
      drawn.materialize(backend, DType.FLOAT32, false, 5);
      for (Parameter parameter : drawn.parameters().parameters()) {
        scatter(parameter, random);
      }
      Qwen3File.of(drawn, DType.Q8_0).write(file, _ -> {});
      ModelFolder model = ModelFolder.open(file);
      float[] theirs =
          GreedyCompletion.answer(
                  new LibLlama(LIBRARY),
                  new LlamaComparison.Question(file.toString(), false, 1, prompt, 1))
              .logits()[0];
      InferenceSettings inBlocks = InferenceSettings.of(model.typesAsStored(DType.FLOAT32));
      try (LanguageModel decoded = model.load(backend, DType.FLOAT32);
          LanguageModel stored = model.load(backend, inBlocks, null)) {
        float[] exact = ModelRunner.nextLogits(backend, decoded, prompt);
        float[] ours = ModelRunner.nextLogits(backend, stored, prompt);
        assertTrue(rms(ours, exact) > 0);
        assertTrue(
            rms(ours, exact) <= 2 * rms(theirs, exact),
            rms(ours, exact) + ", " + rms(theirs, exact));
      }
    }
  }

  private static double rms(float[] found, float[] expected) {
    double sum = 0;
    for (int i = 0; i < found.length; i++) {
      sum += Math.pow((double) found[i] - expected[i], 2);
    }
    return Math.sqrt(sum / found.length);
  }

  private static void run(String line) {
    CommandLine commands = Main.commandLine().setOut(new PrintWriter(Writer.nullWriter()));
    assertEquals(0, commands.execute(line.split(" ")));
  }

  private static void assertComputesOurLogits(Path file, int vocabulary, float tolerance)
      throws Exception {
    int[] prompt = new Random(3).ints(LENGTH, 0, vocabulary).toArray();
    LlamaComparison.Answer theirs =
        GreedyCompletion.answer(
            new LibLlama(LIBRARY),
            new LlamaComparison.Question(file.toString(), false, 1, prompt, 1));
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel ours = ModelFolder.open(file).load(backend, DType.FLOAT32)) {
      float[] expected = ModelRunner.nextLogits(backend, ours, prompt);
      assertArrayEquals(expected, theirs.logits()[0], tolerance);
    }
  }

  /** A file of other weights, or a truncated one, is not reused. */
  @Test
  void knowsItsFile() throws Exception {
    LayerShape shape = LayerShape.parse("64x32x4x2-swiglu");
    Path file = folder.resolve("model.gguf");
    LanguageModel ours = new LanguageModel(GenerationModel.QWEN3.config(shape, VOCABULARY));
    GgufWriter gguf = Qwen3File.of(ours, DType.FLOAT32);
    try (Backend backend = Backends.open("cpu", 1);
        ours) {
      ours.materialize(backend, DType.FLOAT32, false, 5);
      assertFalse(gguf.isAt(file));
      gguf.write(file, _ -> {});
      assertTrue(gguf.isAt(file));
      LayerShape other = LayerShape.parse("64x32x4x1-swiglu");
      LanguageModel another = new LanguageModel(GenerationModel.QWEN3.config(other, VOCABULARY));
      assertFalse(Qwen3File.of(another, DType.FLOAT32).isAt(file));
      byte[] bytes = Files.readAllBytes(file);
      Files.write(file, Arrays.copyOf(bytes, bytes.length - 1));
      assertFalse(gguf.isAt(file));
      Exception error =
          assertThrows(
              IllegalArgumentException.class, () -> new LibLlama(LIBRARY).loadModel(file, false));
      assertTrue(error.getMessage().startsWith("libllama: "), error.getMessage());
    }
  }
}
