package panamoe.harness.serve.reading;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Comparator;
import java.util.List;
import java.util.UUID;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import panamoe.engine.GenerationRequest;
import panamoe.engine.GenerationRequest.Terms;
import panamoe.engine.Readout;
import panamoe.engine.schedule.EngineThread;
import panamoe.harness.serve.completion.Admission;
import panamoe.harness.serve.completion.CompletionFields;
import panamoe.harness.serve.completion.CompletionPrompts;
import panamoe.harness.serve.completion.Connection;
import panamoe.harness.serve.completion.Connections;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.Fields;
import panamoe.harness.serve.http.HttpExchange;
import panamoe.harness.serve.http.Limits;
import panamoe.harness.serve.log.Metrics;
import panamoe.harness.serve.model.ServedModel;
import panamoe.io.Words;
import panamoe.open.EmbeddingForm;
import panamoe.retrieval.RerankForm;
import tools.jackson.databind.JsonNode;

/**
 * Vectors of texts, and scores of documents for a query. Thread-safe.
 *
 * @param engine gives the engine, or throws an ApiError until the model is loaded
 */
public record ReadingEndpoint(
    ServedModel model,
    Limits limits,
    Admission admission,
    Metrics metrics,
    Connections connections,
    Supplier<EngineThread> engine) {
  /** Most tokens of a request's texts together. */
  private static final int MOST_TOKENS = 1 << 20;

  /** Bytes of a vector's number in memory and in a response. */
  private static final long NUMBER = 28;

  /** Token counts. */
  record Usage(long promptTokens, long totalTokens) {}

  record Embeddings(String object, List<Embedding> data, String model, Usage usage) {}

  /**
   * @param embedding numbers, or their bytes in base64
   */
  record Embedding(String object, int index, Object embedding) {}

  /** Ollama's form of embeddings; durations are in nanoseconds. */
  record Vectors(
      String model,
      List<float[]> embeddings,
      long totalDuration,
      long loadDuration,
      long promptEvalCount) {}

  record Reranked(String id, String model, List<Scored> results, Usage usage) {}

  record Scored(
      int index,
      double relevanceScore,
      @JsonInclude(JsonInclude.Include.NON_NULL) Document document) {}

  record Document(String text) {}

  public void embeddings(HttpExchange call) throws IOException, InterruptedException {
    Fields fields = call.fields();
    model.requireNamed(fields);
    Prompts inputs = inputs(fields);
    String encoding = fields.text("encoding_format", "float");
    boolean base64 = encoding.equals("base64");
    fields.require(base64 || encoding.equals("float"), "encoding_format", "is not float or base64");
    List<Object> vectors =
        vectors(call, fields, inputs, vector -> base64 ? base64(vector) : vector);
    List<Embedding> data =
        IntStream.range(0, vectors.size())
            .mapToObj(i -> new Embedding("embedding", i, vectors.get(i)))
            .toList();
    call.respond(new Embeddings("list", data, model.requireNamed(fields), inputs.usage()));
  }

  /** As {@link Vectors}. */
  public void embed(HttpExchange call) throws IOException, InterruptedException {
    final long begun = System.nanoTime();
    Fields fields = call.fields();
    model.requireNamed(fields);
    Prompts inputs = inputs(fields);
    fields.flag("truncate"); // a text that is too long is refused
    fields.ignore("keep_alive");
    List<float[]> vectors = vectors(call, fields, inputs, vector -> vector);
    long duration = System.nanoTime() - begun;
    call.respond(new Vectors(model.requireNamed(fields), vectors, duration, 0, inputs.tokens));
  }

  private Prompts inputs(Fields fields) {
    String before = prompt(fields, model.requireEmbedding());
    Prompts inputs = new Prompts("input");
    CompletionPrompts.of(
            fields,
            "input",
            text -> {
              fields.require(!text.isEmpty(), "input", "has an empty text");
              return EmbeddingForm.tokens(model.tokenizer(), before, text);
            },
            model.vocabulary())
        .forEach(inputs::add);
    return inputs;
  }

  /** The vectors of texts, after the last field but {@code dimensions}. */
  private <T> List<T> vectors(
      HttpExchange call, Fields fields, Prompts inputs, Function<float[], T> written)
      throws IOException, InterruptedException {
    EmbeddingForm form = model.requireEmbedding();
    int width = model.uses().width();
    int dimensions = fields.integer("dimensions", width, 1, width);
    call.reserve(NUMBER * dimensions * inputs.all.size());
    return read(
        call,
        fields,
        inputs,
        form.pooling(),
        values -> written.apply(form.vector(values, dimensions)));
  }

  /** The model's prompt before each text. */
  private static String prompt(Fields fields, EmbeddingForm form) {
    try {
      return form.prompt(fields.text("prompt_name", null));
    } catch (IllegalArgumentException e) {
      throw ApiError.invalid(e.getMessage(), "prompt_name");
    }
  }

  private static String base64(float[] vector) {
    ByteBuffer bytes =
        ByteBuffer.allocate(Float.BYTES * vector.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(vector);
    return Base64.getEncoder().encodeToString(bytes.array());
  }

  public void rerank(HttpExchange call) throws IOException, InterruptedException {
    Fields fields = call.fields();
    model.requireNamed(fields);
    RerankForm form = model.requireRerank();
    String query = fields.text("query", "");
    fields.require(!query.isEmpty(), "query", "is missing or empty");
    String instruction = fields.text("instruction", RerankForm.INSTRUCTION);
    List<String> documents = documents(fields);
    Prompts questions = new Prompts("documents");
    for (String document : documents) {
      questions.add(form.tokens(model.tokenizer(), instruction, query, document));
    }
    int top = fields.integer("top_n", documents.size(), 1, Integer.MAX_VALUE);
    boolean returned = fields.flag("return_documents");
    List<Double> scores = read(call, fields, questions, Readout.LOGITS, form::score);
    List<Scored> results =
        IntStream.range(0, documents.size())
            .boxed()
            .sorted(Comparator.comparingDouble(i -> -scores.get(i)))
            .limit(top)
            .map(
                i -> new Scored(i, scores.get(i), returned ? new Document(documents.get(i)) : null))
            .toList();
    String id = "rerank-" + UUID.randomUUID().toString().replace("-", "");
    call.respond(new Reranked(id, model.requireNamed(fields), results, questions.usage()));
  }

  /** Documents, each a string or an object with a {@code text}. */
  private static List<String> documents(Fields fields) {
    JsonNode given = fields.required("documents");
    fields.require(given.isArray() && !given.isEmpty(), "documents", "is not an array of texts");
    int most = CompletionPrompts.MOST;
    fields.require(given.size() <= most, "documents", "has more than %s texts", most);
    List<String> documents = new ArrayList<>();
    for (JsonNode one : given) {
      JsonNode text = one.isObject() ? one.get("text") : one;
      boolean fits = text != null && text.isString() && !text.stringValue().isEmpty();
      fields.require(
          fits, "documents", "has at %s no text, and no object with a text", documents.size());
      documents.add(text.stringValue());
    }
    return documents;
  }

  /** The tokens of a request's texts, which are not too long, each and together. */
  private final class Prompts {
    private final String name;
    private final List<int[]> all = new ArrayList<>();
    private long tokens;

    /**
     * @param name of the field that has the texts
     */
    Prompts(String name) {
      this.name = name;
    }

    void add(int[] prompt) {
      String which = Words.of("text %s of %s, counted from 0,", all.size(), name);
      if (prompt.length == 0) {
        throw ApiError.invalid(which + " has no tokens", name);
      }
      if (prompt.length > model.context()) {
        throw ApiError.tooLong(
            Words.of(
                "%s has %s tokens with those around it, more than the model's context of %s",
                which, prompt.length, model.context()));
      }
      tokens += prompt.length;
      if (tokens > MOST_TOKENS) {
        throw ApiError.tooLong(
            Words.of(
                "%s has more than %s tokens together; send several requests", name, MOST_TOKENS));
      }
      all.add(prompt);
    }

    Usage usage() {
      return new Usage(tokens, tokens);
    }
  }

  /** Reads prompts, after the last field. */
  private <T> List<T> read(
      HttpExchange call, Fields fields, Prompts prompts, Readout readout, Function<float[], T> made)
      throws IOException, InterruptedException {
    Terms terms = new CompletionFields(fields, model).terms(call.record().key());
    fields.requireNoOthers();
    List<GenerationRequest> requests =
        prompts.all.stream()
            .map(prompt -> GenerationRequest.reading(prompt, readout, terms))
            .toList();
    EngineThread ready = engine.get();
    int together = Math.min(requests.size(), limits.queue().sequences());
    try (Admission.Slots slots = admission.admit(together, prompts.tokens)) {
      call.record().prompts(prompts.tokens);
      Connection connection = connections.open(call::cut);
      PromptReadings<T> readings = new PromptReadings<>(ready, connection, slots, metrics, made);
      try {
        return readings.read(requests, together);
      } catch (InterruptedException e) {
        metrics.cancelled("disconnect");
        throw e;
      } finally {
        readings.cancel();
        connections.closed(connection);
      }
    }
  }
}
