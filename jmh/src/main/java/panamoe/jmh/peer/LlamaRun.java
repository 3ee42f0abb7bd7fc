package panamoe.jmh.peer;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.config.ModelConfig;
import panamoe.harness.bench.Contender;
import panamoe.harness.bench.GenerationModel;
import panamoe.harness.bench.GenerationTexts;
import panamoe.harness.bench.Kind;
import panamoe.harness.bench.PeerQuestion;
import panamoe.model.LanguageModel;
import panamoe.tensor.DType;

/**
 * libllama's prefill and decode of our tokens with our weights, which are drawn from the same seed
 * and kept in a file.
 */
final class LlamaRun implements PeerRun {
  private static final int VOCABULARY = GenerationModel.VOCABULARY;

  private final Path weights;
  private final long seed;
  private final LibLlama library;
  private PeerQuestion.Work work;
  private MemorySegment model;
  private int tokens;
  private LlamaTexts texts;
  private Contender contender;

  /**
   * @param library folder that ci/peers installs
   * @param weights folder where files of weights are kept
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

  @Override
  public double[] burst(PeerQuestion question) throws IOException {
    if (!question.work().equals(work)) {
      close(); // frees the old weights before new ones are loaded
      model = library.loadModel(weights(question.work()));
      work = question.work();
    }
    if (question.tokens() != tokens) {
      closeTexts();
      open(question.tokens());
    }
    return contender.burst(question.seconds());
  }

  /** The file of the weights, which is written if it is not there. */
  private Path weights(PeerQuestion.Work wanted) throws IOException {
    DType dtype = wanted.dtype().dtype();
    ModelConfig config = GenerationModel.QWEN3.config(wanted.shape(), VOCABULARY);
    String sizes =
        Stream.of(wanted.hidden(), wanted.expertHidden(), wanted.experts(), wanted.topK())
            .map(String::valueOf)
            .collect(Collectors.joining("x"));
    Path file = weights.resolve("qwen3-" + sizes + "-" + wanted.dtype() + "-" + seed + ".gguf");
    LanguageModel ours = new LanguageModel(config); // without memory until it is drawn
    GgufWriter gguf = Qwen3File.of(ours, dtype);
    if (!gguf.isAt(file)) {
      try (Backend backend = Backends.open("cpu", wanted.threads());
          ours) {
        ours.materialize(backend, dtype, false, seed);
        gguf.write(file);
      }
    }
    return file;
  }

  private void open(int wanted) throws IOException {
    Kind kind = Kind.of(work.kind());
    GenerationTexts input = GenerationTexts.of(kind, wanted, seed);
    texts =
        new LlamaTexts(
            library,
            model,
            input.texts(),
            input.cached() + 1,
            work.threads(),
            work.dtype().dtype());
    tokens = wanted;
    if (kind == Kind.PREFILL) {
      contender =
          Contender.of(
              _ -> {
                texts.cut(0);
                prompt(input, 0);
              });
    } else {
      for (int text = 0; text < input.texts(); text++) {
        prompt(input, text);
      }
      contender = Contender.of(call -> step(input, call));
    }
    contender.burst(0);
    requireFinite(kind == Kind.PREFILL ? input.cached() - 1 : 0, input.texts());
  }

  private void prompt(GenerationTexts input, int text) {
    for (int i = 0; i < input.cached(); i++) {
      texts.add(input.prompt(text, i), text, i, i == input.cached() - 1);
    }
    texts.decode();
  }

  private void step(GenerationTexts input, int call) {
    texts.cut(input.cached());
    for (int text = 0; text < input.texts(); text++) {
      texts.add(input.next(call, text), text, input.cached(), true);
    }
    texts.decode();
  }

  /** Checks the logits of {@code count} tokens of the latest batch from {@code first} on. */
  private void requireFinite(int first, int count) {
    for (int i = first; i < first + count; i++) {
      for (float logit : texts.logits(i, VOCABULARY)) {
        if (!Float.isFinite(logit)) {
          throw new IllegalStateException("libllama's logits are not finite");
        }
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
