package panamoe.peers;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.checkpoint.gguf.GgufWriter;
import panamoe.config.ModelConfig;
import panamoe.io.WholeOrNothing;
import panamoe.lab.bench.BenchKind;
import panamoe.lab.bench.Contender;
import panamoe.lab.bench.GenerationInput;
import panamoe.lab.bench.GenerationModel;
import panamoe.lab.bench.PeerRequest;
import panamoe.lab.conformance.llamacpp.LlamaComparison;
import panamoe.lab.conformance.llamacpp.TextComparison;
import panamoe.model.LanguageModel;
import panamoe.tensor.DType;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Prefill and decode of our tokens by libllama, with the weights of a user's file, or with our
 * random weights from the same seed, which are kept in a file.
 */
final class LlamaRun implements PeerRun {
  private final Path weights;
  private final long seed;
  private final LibLlama library;
  private PeerRequest.Work work;
  private Path file;
  private MemorySegment model;
  private int tokens;
  private PeerRequest.Texts wanted;
  private LlamaSequences texts;
  private Contender contender;

  /**
   * @param library folder that ci/fetch/peers installs
   * @param weights folder for files of weights
   */
  LlamaRun(Path library, Path weights, long seed) {
    this.weights = weights;
    this.seed = seed;
    this.library = new LibLlama(library);
  }

  @Override
  public String version() {
    return LibLlama.VERSION;
  }

  /** Also answers requests for greedy completions, and about texts. */
  @Override
  public Object answer(JsonNode question, JsonMapper json) throws Exception {
    if (question.has("reading")) {
      return LlamaText.answer(library, json.treeToValue(question, TextComparison.Question.class));
    }
    return question.has("replay")
        ? GreedyCompletion.answer(
            library, json.treeToValue(question, LlamaComparison.Question.class))
        : PeerRun.super.answer(question, json);
  }

  @Override
  public double[] burst(PeerRequest question) throws IOException {
    String given = question.texts().file();
    Path needed = given == null ? weights(question.work()) : Path.of(given);
    if (!question.work().equals(work) || !needed.equals(file)) {
      close(); // frees the old weights before new ones are loaded
      model = library.loadModel(needed, false);
      work = question.work();
      file = needed;
    }
    if (question.tokens() != tokens || !question.texts().equals(wanted)) {
      closeTexts();
      open(question.tokens(), question.texts());
    }
    return contender.burst(question.seconds());
  }

  /** The file of the weights, written on first use. */
  private Path weights(PeerRequest.Work wanted) throws IOException {
    DType dtype = wanted.dtype().dtype();
    ModelConfig config = GenerationModel.QWEN3.config(wanted.shape(), GenerationModel.VOCABULARY);
    String sizes =
        Stream.of(wanted.hidden(), wanted.expertHidden(), wanted.experts(), wanted.topK())
            .map(String::valueOf)
            .collect(Collectors.joining("x"));
    Path file = weights.resolve("qwen3-" + sizes + "-" + wanted.dtype() + "-" + seed + ".gguf");
    LanguageModel ours = new LanguageModel(config); // allocated when it is initialised
    GgufWriter gguf = Qwen3File.of(ours, dtype);
    if (!gguf.isAt(file)) {
      try (Backend backend = Backends.open("cpu", wanted.threads());
          ours) {
        ours.materialize(backend, dtype, false, seed);
        WholeOrNothing.replace(file, hidden -> gguf.write(hidden, _ -> {}));
      }
    }
    return file;
  }

  private void open(int count, PeerRequest.Texts of) throws IOException {
    BenchKind kind = work.kind();
    GenerationInput input = GenerationInput.of(kind, count, of.count(), of.vocabulary(), seed);
    texts =
        new LlamaSequences(
            library,
            model,
            input.texts(),
            input.cached() + 1,
            kind == BenchKind.PREFILL
                ? input.texts() * input.cached()
                : Math.max(input.texts(), input.cached()),
            work.threads(),
            work.dtype().dtype());
    tokens = count;
    wanted = of;
    if (kind == BenchKind.PREFILL) {
      contender =
          Contender.of(
              _ -> {
                texts.cut(0);
                for (int text = 0; text < input.texts(); text++) {
                  add(input, text);
                }
                texts.decode();
              });
    } else {
      for (int text = 0; text < input.texts(); text++) {
        add(input, text);
        texts.decode();
      }
      contender = Contender.of(call -> step(input, call));
    }
    contender.burst(0);
    for (int text = 0; text < input.texts(); text++) {
      int last = kind == BenchKind.PREFILL ? (text + 1) * input.cached() - 1 : text;
      requireFinite(texts.logits(last, of.vocabulary()));
    }
  }

  /** Adds the tokens that a sequence has before the calls. */
  private void add(GenerationInput input, int text) {
    for (int i = 0; i < input.cached(); i++) {
      texts.add(input.prompt(text, i), text, i, i == input.cached() - 1);
    }
  }

  private void step(GenerationInput input, int call) {
    texts.cut(input.cached());
    for (int text = 0; text < input.texts(); text++) {
      texts.add(input.next(call, text), text, input.cached(), true);
    }
    texts.decode();
  }

  private static void requireFinite(float[] logits) {
    for (float logit : logits) {
      if (!Float.isFinite(logit)) {
        throw new IllegalStateException("libllama's logits are not finite");
      }
    }
  }

  private void closeTexts() {
    if (texts != null) {
      texts.close();
    }
    texts = null;
    tokens = 0;
  }

  @Override
  public void close() {
    closeTexts();
    if (model != null) {
      library.freeModel(model);
    }
    model = null;
    work = null;
  }
}
