package panamoe.harness.serve.completion;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Supplier;
import panamoe.conversation.ChatFormat;
import panamoe.conversation.Tools;
import panamoe.engine.GenerationRequest;
import panamoe.engine.GenerationRequest.Terms;
import panamoe.engine.StopConfig;
import panamoe.engine.routes.Routing;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.sample.TokenConstraint;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.ApiKey;
import panamoe.harness.serve.http.Fields;
import panamoe.harness.serve.http.HttpExchange;
import panamoe.harness.serve.model.ServedModel;
import panamoe.io.Words;
import panamoe.open.SamplingDefaults;
import tools.jackson.databind.JsonNode;

/** The fields that chat completions and completions share. */
public record CompletionFields(Fields fields, ServedModel model) {
  private static final int MOST_CHOICES = 128;
  private static final int MOST_TEMPERATURE = 100;
  private static final int MOST_PENALTY = 100;
  private static final int MOST_STOPS = 64;
  private static final int MOST_STOP_LENGTH = 1000;
  private static final int MOST_BIASES = 1024;
  private static final int MOST_BIAS = 100;
  private static final long MOST_MILLIS = Duration.ofDays(1).toMillis();

  /**
   * Parses the fields, and refuses unknown ones.
   *
   * @param tools that completions may call
   * @param logprobs most probable tokens to report; -1 for none
   * @param defaultMaxTokens most tokens of a request that gives no number
   * @param call the exchange of the request
   * @param ends stop strings and tokens in addition to the request's
   * @throws ApiError if a field is wrong
   * @throws InterruptedException if interrupted while a grammar is made: the client has left
   */
  CompletionRequest read(
      List<int[]> prompts,
      Tools tools,
      int logprobs,
      int defaultMaxTokens,
      HttpExchange call,
      ChatFormat.Ends ends)
      throws InterruptedException {
    for (int[] prompt : prompts) {
      if (prompt.length > model.context()) {
        throw ApiError.tooLong(
            Words.of(
                "the prompt has %s tokens, more than the model's context of %s",
                prompt.length, model.context()));
      }
    }
    try {
      Terms terms = terms(call.record().key()); // making a grammar counts toward its deadline
      int n = fields.integer("n", 1, 1, MOST_CHOICES);
      SamplingConfig sampling = sampling(n);
      List<StopConfig> stops = stops(prompts, defaultMaxTokens, ends);
      Supplier<TokenConstraint> constraint =
          model.constraints().ofRequest(fields, tools, model.chat().form());
      Routing routing = routing();
      List<GenerationRequest> requests = new ArrayList<>();
      for (int i = 0; i < prompts.size(); i++) {
        requests.add(
            new GenerationRequest(
                prompts.get(i), sampling, stops.get(i), logprobs, constraint, terms, routing));
      }
      CompletionRequest request = new CompletionRequest(requests, n, delivery());
      fields.ignore(
          "store",
          "metadata",
          "service_tier",
          "safety_identifier",
          "prompt_cache_key",
          "prompt_cache_retention",
          "prediction");
      fields.requireNoOthers();
      return request;
    } catch (IllegalArgumentException e) {
      throw ApiError.invalid(e.getMessage(), null);
    }
  }

  /** For {@code texts} choices; without a seed in the request, a seed that no other request has. */
  private SamplingConfig sampling(int texts) {
    SamplingDefaults defaults = model.defaults().sampling();
    int topK = fields.integer("top_k", or(defaults.topK(), 0), -1, Integer.MAX_VALUE);
    JsonNode seed = fields.take("seed");
    return new SamplingConfig(
        fields.number("temperature", or(defaults.temperature(), 1.0), 0, MOST_TEMPERATURE),
        Math.max(0, topK), // -1 also means all
        fields.positive("top_p", or(defaults.topP(), 1.0), 1),
        fields.number("min_p", or(defaults.minP(), 0.0), 0, 1),
        new SamplingConfig.Penalties(
            fields.positive(
                "repetition_penalty", or(defaults.repetitionPenalty(), 1.0), MOST_PENALTY),
            fields.number("presence_penalty", 0, -MOST_PENALTY, MOST_PENALTY),
            fields.number("frequency_penalty", 0, -MOST_PENALTY, MOST_PENALTY)),
        biases(),
        seed == null
            ? model.defaults().seeds().getAndAdd(texts)
            : fields.integer("seed", 0L, Long.MIN_VALUE, Long.MAX_VALUE));
  }

  private static <T> T or(T defaults, T otherwise) {
    return defaults == null ? otherwise : defaults;
  }

  private Map<Integer, Float> biases() {
    Map<Integer, Float> biases = new HashMap<>();
    Fields given = fields.inner("logit_bias");
    if (given == null) {
      return biases;
    }
    fields.require(
        given.names().size() <= MOST_BIASES, "logit_bias", "has more than %s tokens", MOST_BIASES);
    for (String name : given.names()) {
      if (!name.matches("[0-9]{1,9}")) {
        throw fields.wrong(
            "logit_bias", "has a key that is no token: '" + Fields.shown(name) + "'");
      }
      int token = fields.requireToken("logit_bias", Integer.parseInt(name), model.vocabulary());
      biases.put(token, (float) given.number(name, 0, -MOST_BIAS, MOST_BIAS));
    }
    return biases;
  }

  private List<StopConfig> stops(List<int[]> prompts, int defaultMaxTokens, ChatFormat.Ends more) {
    int most = maxTokens();
    int least = fields.integer("min_tokens", 0, 0, Integer.MAX_VALUE);
    List<String> texts = new ArrayList<>(stopTexts());
    texts.addAll(more.texts());
    JsonNode tokens = fields.take("stop_token_ids");
    Set<Integer> stopTokens = new TreeSet<>();
    if (tokens != null) {
      for (int token : fields.tokens("stop_token_ids", tokens, model.vocabulary())) {
        stopTokens.add(token);
      }
    }
    boolean ignoreEnd = fields.flag("ignore_eos");
    if (!ignoreEnd) {
      stopTokens.addAll(more.tokens());
    }
    return prompts.stream()
        .map(
            prompt -> {
              int room = Math.max(1, model.context() - prompt.length);
              int own = most < 0 ? Math.min(room, defaultMaxTokens) : most;
              return new StopConfig(own, least, texts, stopTokens, ignoreEnd, false);
            })
        .toList();
  }

  /** The request's maximum of tokens; -1 if not given. */
  private int maxTokens() {
    int before = fields.integer("max_tokens", -1, 0, Integer.MAX_VALUE);
    int most = fields.integer("max_completion_tokens", before, 0, Integer.MAX_VALUE);
    fields.require(
        before < 0 || most == before,
        "max_tokens",
        "is %s, but max_completion_tokens is %s: give one of the two",
        before,
        most);
    return most;
  }

  private List<String> stopTexts() {
    JsonNode stop = fields.take("stop");
    if (stop == null) {
      return List.of();
    }
    List<String> texts = new ArrayList<>();
    for (JsonNode text : stop.isArray() ? stop : List.of(stop)) {
      if (!text.isString() || text.stringValue().length() > MOST_STOP_LENGTH) {
        throw fields.wrong(
            "stop",
            "is not a string of at most " + MOST_STOP_LENGTH + " characters, or an array of them");
      }
      fields.require(!text.stringValue().isEmpty(), "stop", "has an empty string");
      texts.add(text.stringValue());
    }
    fields.require(texts.size() <= MOST_STOPS, "stop", "has more than %s strings", MOST_STOPS);
    return texts;
  }

  /** The fields about scheduling, of a request with this key. */
  public Terms terms(ApiKey key) {
    long millis = fields.integer("timeout_ms", -1L, 1, MOST_MILLIS);
    String user = fields.text("user", "");
    return new Terms(
        -key.priorityOf(fields.integer("priority", key.usualPriority(), -1000, 1000)),
        key == ApiKey.NONE ? user : key.name(),
        key.name() + "\n" + fields.text("cache_salt", ""), // cached tokens tell of other requests
        millis < 0 ? Terms.NEVER : System.nanoTime() + Duration.ofMillis(millis).toNanos(),
        model.adapter(fields));
  }

  private Routing routing() {
    Fields moe = fields.inner("moe");
    if (moe == null) {
      return Routing.USUAL;
    }
    Routing routing = new Routing(moe.flag("stats"), moe.flag("tokens"), topK(moe));
    moe.requireNoOthers();
    return routing;
  }

  private static List<Integer> topK(Fields moe) {
    JsonNode given = moe.take("top_k");
    if (given == null) {
      return List.of();
    }
    List<Integer> topK = new ArrayList<>();
    for (JsonNode one : given.isArray() ? given : List.of(given)) {
      if (!one.isIntegralNumber() || !one.canConvertToInt()) {
        throw moe.wrong("top_k", "is not a whole number, or an array of one for each MoE layer");
      }
      topK.add(one.intValue());
    }
    moe.require(!topK.isEmpty(), "top_k", "has no numbers");
    return topK;
  }

  private CompletionRequest.Delivery delivery() {
    boolean stream = fields.flag("stream");
    boolean usage = false;
    Fields options = fields.inner("stream_options");
    if (options != null) {
      usage = options.flag("include_usage");
      options.ignore("include_obfuscation");
      options.requireNoOthers();
      fields.require(stream, "stream_options", "is for streams only");
    }
    return new CompletionRequest.Delivery(stream, usage, fields.flag("return_token_ids"));
  }
}
