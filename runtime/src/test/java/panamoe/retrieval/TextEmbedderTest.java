package panamoe.retrieval;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.NotFinite;
import panamoe.op.Pass;
import panamoe.open.EmbeddingForm;
import panamoe.open.ModelFolder;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** Vectors of a small model with the files of an embedding model. */
class TextEmbedderTest {
  private static final int HIDDEN = 48;
  private static final String[] POOLINGS = {"lasttoken", "mean", "cls"};

  @TempDir private Path folder;

  private interface Body {
    void run(TextEmbedder embedder, Backend backend, LanguageModel model);
  }

  private static void with(Path path, Body body) {
    ModelFolder found = ModelFolder.open(path);
    try (Backend backend = Backends.open("cpu", 2);
        LanguageModel model = found.load(backend, DType.FLOAT32);
        TextEmbedder embedder = new TextEmbedder(found, EmbeddingForm.of(found), backend, model)) {
      body.run(embedder, backend, model);
    }
  }

  private static List<String> texts(int count) {
    Random random = new Random(4);
    return IntStream.range(0, count)
        .mapToObj(
            _ ->
                random
                    .ints(1 + random.nextInt(30), 0, 6)
                    .mapToObj(word -> List.of("the hat", " cat", " on", " mat", ".", "é").get(word))
                    .collect(Collectors.joining()))
        .toList();
  }

  /** By a forward of the whole sequence without a cache, in float64. */
  private static double[] pooled(Backend backend, LanguageModel model, int[] tokens, int pooling) {
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor ids = scope.allocate(DType.INT32, tokens.length).set(tokens);
      Sequences whole = Sequences.Whole.of(scope, tokens.length, tokens.length);
      float[] states =
          model.hidden(Pass.inference(backend, scope), ids, whole, null, false).toFloats();
      double[] sums = new double[HIDDEN];
      int first = pooling == 0 ? tokens.length - 1 : 0;
      int end = pooling == 2 ? 1 : tokens.length;
      for (int row = first; row < end; row++) {
        for (int i = 0; i < HIDDEN; i++) {
          sums[i] += states[row * HIDDEN + i];
        }
      }
      return Arrays.stream(sums).map(sum -> sum / (end - first)).toArray();
    }
  }

  private static void assertCut(double[] whole, float[] found, boolean normalized) {
    double norm =
        normalized ? Math.sqrt(Arrays.stream(whole).limit(found.length).map(x -> x * x).sum()) : 1;
    for (int i = 0; i < found.length; i++) {
      assertEquals(whole[i] / norm, found[i], 3e-5);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2})
  void vectorsArePooledAndNormalisedAsTheModelSays(int pooling) throws IOException {
    RetrievalFolder.write(folder, POOLINGS[pooling], pooling != 1);
    with(
        folder,
        (embedder, backend, model) -> {
          List<String> texts = texts(5);
          for (int dimensions : new int[] {HIDDEN, 8}) {
            List<TextEmbedder.Embedded> found =
                embedder.embed(texts, RetrievalFolder.QUERY, dimensions);
            for (int i = 0; i < texts.size(); i++) {
              int[] tokens = embedder.tokens(RetrievalFolder.QUERY, texts.get(i));
              double[] whole = pooled(backend, model, tokens, pooling);
              assertEquals(dimensions, found.get(i).vector().length);
              assertCut(whole, found.get(i).vector(), pooling != 1);
              assertEquals(tokens.length, found.get(i).tokens());
            }
          }
        });
  }

  /** A model that says nothing is pooled by the mean, and normalised. */
  @Test
  void theMeanIsUsual() throws IOException {
    RetrievalFolder.write(folder);
    with(
        folder,
        (embedder, backend, model) -> {
          int[] tokens = embedder.tokens("", "the hat");
          assertEquals(RetrievalFolder.END, tokens[tokens.length - 1]);
          float[] found = embedder.embed(List.of("the hat"), "", HIDDEN).getFirst().vector();
          assertCut(pooled(backend, model, tokens, 1), found, true);
        });
  }

  @ParameterizedTest
  @ValueSource(strings = {"lasttoken", "mean"})
  void aTextsBitsDoNotDependOnItsBatch(String pooling) throws Exception {
    RetrievalFolder.write(folder, pooling, true);
    with(
        folder,
        (embedder, _, _) -> {
          List<String> texts = texts(64);
          List<float[]> alone = new ArrayList<>();
          texts.forEach(
              text -> alone.add(embedder.embed(List.of(text), "", HIDDEN).getFirst().vector()));
          List<Thread> callers = new ArrayList<>();
          List<List<TextEmbedder.Embedded>> found = new ArrayList<>();
          for (int caller = 0; caller < 4; caller++) {
            List<TextEmbedder.Embedded> mine = new ArrayList<>();
            found.add(mine);
            callers.add(
                Thread.startVirtualThread(() -> mine.addAll(embedder.embed(texts, "", HIDDEN))));
          }
          for (int caller = 0; caller < 4; caller++) {
            join(callers.get(caller));
            for (int i = 0; i < texts.size(); i++) {
              assertArrayEquals(alone.get(i), found.get(caller).get(i).vector());
            }
          }
        });
  }

  private static void join(Thread thread) {
    try {
      thread.join();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void badInputIsNamed() throws IOException {
    RetrievalFolder.write(folder, "mean", true);
    with(
        folder,
        (embedder, _, model) -> {
          refused("text 1 (counted from 0) is empty", embedder, List.of("a", ""), 8);
          refused("text 0 (counted from 0) is null", embedder, Arrays.asList((String) null), 8);
          refused(
              "text 2 (counted from 0) has 513 tokens, expected 1 to 512, the context",
              embedder,
              List.of("a", "b", "Q".repeat(512)),
              8);
          refused("dimensions is 49, expected 1 to 48", embedder, List.of("a"), 49);
          refused("dimensions is 0, expected 1 to 48", embedder, List.of("a"), 0);
          IllegalArgumentException prompt =
              assertThrows(IllegalArgumentException.class, () -> embedder.form().prompt("title"));
          assertEquals(
              "the model has no prompt named title, but query, document", prompt.getMessage());
          assertEquals(511 + 1, embedder.embed(List.of("Q".repeat(511)), "", 1).get(0).tokens());
          Thread.currentThread().interrupt();
          assertThrows(CancellationException.class, () -> embedder.embed(texts(9), "", HIDDEN));
          assertTrue(Thread.interrupted());
          embedder.close();
          assertThrows(IllegalStateException.class, () -> embedder.embed(texts(1), "", HIDDEN));
        });
  }

  private static void refused(
      String why, TextEmbedder embedder, List<String> texts, int dimensions) {
    String said =
        assertThrows(IllegalArgumentException.class, () -> embedder.embed(texts, "", dimensions))
            .getMessage();
    assertTrue(said.startsWith(why), said);
  }

  /** Only the text whose rows are not finite fails. */
  @Test
  void aTextThatIsNotFiniteIsNamed() throws IOException {
    RetrievalFolder.write(folder, "mean", true);
    ModelFolder found = ModelFolder.open(folder);
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel model = new LanguageModel(found.config())) {
      model.materialize(backend, DType.FLOAT32, false, 3);
      Tensor embedding = model.parameters().parameters().getFirst().value();
      int bad = found.tokenizer().encode("Q")[0];
      embedding.setFloat((long) bad * HIDDEN, Float.NaN);
      model.pack(backend, DType.FLOAT32);
      try (TextEmbedder embedder =
          new TextEmbedder(found, EmbeddingForm.of(found), backend, model)) {
        NotFinite failure =
            assertThrows(NotFinite.class, () -> embedder.embed(List.of("a", "Q", "b"), "", HIDDEN));
        assertTrue(failure.getMessage().contains("for text 1"), failure::toString);
        assertEquals(1, embedder.embed(List.of("a"), "", HIDDEN).size());
      }
    }
  }
}
