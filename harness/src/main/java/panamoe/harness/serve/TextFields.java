package panamoe.harness.serve;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import panamoe.conversation.ChatFormat;
import panamoe.conversation.Tools;
import panamoe.engine.GenerationRequest.Terms;
import panamoe.engine.StopConfig;
import panamoe.engine.routes.Routing;
import panamoe.engine.sample.SamplingConfig;
import panamoe.io.Words;
import panamoe.open.SamplingDefaults;
import tools.jackson.databind.JsonNode;

/** The fields that chat completions and completions have in common. */
record TextFields(Fields fields, ServedModel model) {
  private static final int MOST_TEXTS = 128;
  private static final int MOST_TEMPERATURE = 100;
  private static final int MOST_PENALTY = 100;
  private static final int MOST_STOPS = 64;
  private static final int MOST_STOP_LENGTH = 1000;
  private static final int MOST_BIASES = 1024;
  private static final int MOST_BIAS = 100;
  private static final long MOST_MILLIS = Duration.ofDays(1).toMillis();

  /**
   * Reads them, and refuses those that nobody has read.
   *
   * @param tools what the texts may call
   * @param logprobs most probable tokens to tell; -1 for none
   * @param defaultMaxTokens most tokens where a request does not say
   * @param call whose fields they are
   * @param ends what ends a text beside the request's own stops
   * @throws ApiError if one is wrong
   * @throws InterruptedException while a grammar is made, whose end it is, also if the client
   *     leaves
   */
  TextRequest read(
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
      Terms terms = terms(call.user()); // its time runs while a grammar is made
      int texts = fields.integer("n", 1, 1, MOST_TEXTS);
      TextRequest request =
          new TextRequest(
              prompts,
              texts,
              sampling(texts),
              stops(prompts, defaultMaxTokens, ends),
              logprobs,
              model.constraints().ofRequest(fields, tools, model.chat().form(), call),
              terms,
              routing(),
              delivery());
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

  /** For {@code texts} of a prompt: without a seed, none that another request's texts have. */
  private SamplingConfig sampling(int texts) {
    SamplingDefaults makers = model.defaults().sampling();
    int topK = fields.integer("top_k", or(makers.topK(), 0), -1, Integer.MAX_VALUE);
    JsonNode seed = fields.take("seed");
    return new SamplingConfig(
        fields.number("temperature", or(makers.temperature(), 1.0), 0, MOST_TEMPERATURE),
        Math.max(0, topK), // -1 is all, too
        fields.positive("top_p", or(makers.topP(), 1.0), 1),
        fields.number("min_p", or(makers.minP(), 0.0), 0, 1),
        new SamplingConfig.Penalties(
            fields.positive(
                "repetition_penalty", or(makers.repetitionPenalty(), 1.0), MOST_PENALTY),
            fields.number("presence_penalty", 0, -MOST_PENALTY, MOST_PENALTY),
            fields.number("frequency_penalty", 0, -MOST_PENALTY, MOST_PENALTY)),
        biases(),
        seed == null
            ? model.defaults().seeds().getAndAdd(texts)
            : fields.integer("seed", 0L, Long.MIN_VALUE, Long.MAX_VALUE));
  }

  private static <T> T or(T makers, T otherwise) {
    return makers == null ? otherwise : makers;
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

  /** The most tokens that are asked for; -1 if the request does not say. */
  private int maxTokens() {
    int before = fields.integer("max_tokens", -1, 0, Integer.MAX_VALUE);
    int most = fields.integer("max_completion_tokens", before, 0, Integer.MAX_VALUE);
    fields.require(before < 0 || most == before, "max_tokens", "is not max_completion_tokens");
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
      fields.require(!text.stringValue().isEmpty(), "stop", "has an empty text");
      texts.add(text.stringValue());
    }
    fields.require(texts.size() <= MOST_STOPS, "stop", "has more than %s texts", MOST_STOPS);
    return texts;
  }

  private Terms terms(String key) {
    long millis = fields.integer("timeout_ms", -1L, 1, MOST_MILLIS);
    String user = fields.text("user", "");
    return new Terms(
        -fields.integer("priority", 0, -1000, 1000),
        key.isEmpty() ? user : key,
        fields.text("cache_salt", ""),
        millis < 0 ? Terms.NEVER : System.nanoTime() + Duration.ofMillis(millis).toNanos());
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

  private TextRequest.Delivery delivery() {
    boolean stream = fields.flag("stream");
    boolean usage = false;
    Fields options = fields.inner("stream_options");
    if (options != null) {
      usage = options.flag("include_usage");
      options.ignore("include_obfuscation");
      options.requireNoOthers();
      fields.require(stream, "stream_options", "is for streams only");
    }
    return new TextRequest.Delivery(stream, usage, fields.flag("return_token_ids"));
  }
}
