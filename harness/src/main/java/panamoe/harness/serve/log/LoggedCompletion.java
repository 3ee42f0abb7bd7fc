package panamoe.harness.serve.log;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import panamoe.conversation.reply.ReplyForm;
import panamoe.engine.Generation;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.routes.Routing;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.sample.TokenConstraint;
import panamoe.harness.Activations;
import panamoe.harness.ComputeType;
import panamoe.harness.KeyValueType;
import panamoe.harness.Quantization;
import panamoe.harness.serve.http.Fields;
import panamoe.harness.serve.http.Limits;
import panamoe.harness.serve.model.Constraints;
import panamoe.harness.serve.model.Numerics;
import panamoe.harness.serve.model.ServedModel;
import panamoe.harness.serve.model.ToolFields;
import panamoe.io.ConfigJson;
import panamoe.io.Omittable;
import panamoe.io.Require;
import panamoe.io.Words;
import panamoe.open.ModelFolder;
import panamoe.open.NamedAdapters;
import tools.jackson.databind.node.ObjectNode;

/**
 * A completion of a server with everything that its tokens depend on: a file of {@code
 * --log-requests}. User and priority are not logged.
 *
 * @param id of the response
 * @param index of the choice
 * @param created seconds since 1970
 * @param origin the server's settings
 * @param prompt tokens
 * @param sampling with the seed of this choice
 * @param fields the request's {@link #FIELDS} as given
 */
public record LoggedCompletion(
    String id,
    int index,
    long created,
    Origin origin,
    int[] prompt,
    SamplingConfig sampling,
    StopConfig stop,
    Routing routing,
    ObjectNode fields,
    Answer answer) {
  /** Fields that name an adapter, or constrain a completion. */
  static final String[] FIELDS = {
    "model", "response_format", "tools", "tool_choice", "parallel_tool_calls"
  };

  /** Maximum size of a file: the request's fields are indented. */
  static final int MOST_BYTES = 4 * Limits.Http.BODY_BYTES;

  /**
   * The settings of the server that wrote a completion.
   *
   * @param model the served model's id
   * @param checkpoint an absolute path
   * @param quantize of matrices; null for NONE
   * @param activations multiplied by weights in blocks; null for INT8
   * @param expertsPerToken from {@code --experts-per-token}; null for the trained number
   * @param adapters their paths by name; null for none
   * @param device the backend's name
   * @param form the markup of the model's messages; null for that of Hermes
   */
  public record Origin(
      String model,
      String checkpoint,
      ComputeType dtype,
      @Omittable Quantization quantize,
      @Omittable Activations activations,
      KeyValueType keyValues,
      @Omittable List<Integer> expertsPerToken,
      @Omittable Map<String, String> adapters,
      String device,
      String fingerprint,
      @Omittable ReplyForm form) {

    /**
     * @param device the backend's name
     */
    public static Origin of(
        ServedModel served, ModelFolder folder, Numerics numerics, String device) {
      return new Origin(
          served.name(),
          folder.weights().directory().toAbsolutePath().normalize().toString(),
          numerics.dtype(),
          numerics.quantize(),
          numerics.activations(),
          numerics.keyValues(),
          numerics.expertsPerToken().isEmpty() ? null : numerics.expertsPerToken(),
          paths(numerics),
          device,
          served.fingerprint(),
          served.chat().form());
    }

    private static Map<String, String> paths(Numerics numerics) {
      Map<String, String> paths = new LinkedHashMap<>();
      for (NamedAdapters.Source each : numerics.adapters()) {
        paths.put(each.name(), each.path().toAbsolutePath().normalize().toString());
      }
      return paths.isEmpty() ? null : paths;
    }

    public Numerics numerics() {
      return new Numerics(
          dtype,
          quantize == null ? Quantization.NONE : quantize,
          activations == null ? Activations.INT8 : activations,
          keyValues,
          expertsPerToken == null ? List.of() : expertsPerToken,
          adapters == null
              ? List.of()
              : adapters.entrySet().stream()
                  .map(it -> new NamedAdapters.Source(it.getKey(), Path.of(it.getValue())))
                  .toList());
    }
  }

  /**
   * The generated tokens.
   *
   * @param tokens without the one that ended the completion
   * @param logprobs of each token: the bits of a double in hexadecimal
   * @param end why it ended; null for a failure
   * @param failure the reason of a failure; null for none
   */
  public record Answer(
      int[] tokens, String[] logprobs, @Omittable Generation.End end, @Omittable String failure) {

    /** Whether the client or a deadline cut it off, so that a replay could continue. */
    boolean cut() {
      return end == Generation.End.CANCELLED || end == Generation.End.DEADLINE;
    }

    /** The difference of {@code other} in words; null if there is none. */
    public String difference(Answer other) {
      for (int i = 0; i < Math.min(tokens.length, other.tokens.length); i++) {
        if (tokens[i] != other.tokens[i]) {
          return "token " + i + " was " + tokens[i] + " and is " + other.tokens[i];
        }
        if (!logprobs[i].equals(other.logprobs[i])) {
          return Words.of(
              "the logprob of token %s was %s and is %s",
              i, logprob(logprobs[i]), logprob(other.logprobs[i]));
        }
      }
      if (tokens.length != other.tokens.length) {
        return "there were " + tokens.length + " tokens and are " + other.tokens.length;
      }
      return cut() || ending().equals(other.ending())
          ? null
          : "the end was " + ending() + " and is " + other.ending();
    }

    private static String logprob(String bits) {
      return Double.longBitsToDouble(Long.parseUnsignedLong(bits, 16)) + " (" + bits + ")";
    }

    private String ending() {
      return failure == null ? end.name() : "the failure '" + failure + "'";
    }
  }

  public LoggedCompletion {
    Require.that(
        answer.tokens.length == answer.logprobs.length, "there is not one logprob for each token");
    if (answer.end == null && answer.failure == null) {
      throw new IllegalArgumentException("the answer has neither an end nor a failure");
    }
    for (String bits : answer.logprobs) {
      if (!bits.matches("[0-9a-f]{16}")) {
        throw new IllegalArgumentException(
            "a logprob is " + bits + ", expected 16 hexadecimal digits");
      }
    }
  }

  /**
   * Reads a file.
   *
   * @throws IllegalArgumentException if the file is not valid, with its name and the error
   */
  public static LoggedCompletion read(Path file) {
    return ConfigJson.read(file, LoggedCompletion.class, MOST_BYTES);
  }

  /** The markup of the model's messages. */
  private ReplyForm form() {
    return origin == null || origin.form() == null ? ReplyForm.HERMES : origin.form();
  }

  public String fileName() {
    return id + "-" + index + ".json";
  }

  /**
   * The request for the same completion; for one that was cut off, for the same number of tokens.
   *
   * @param constraints of the model's tokenizer
   */
  public GenerationRequest request(Constraints constraints) {
    Fields given = new Fields(fields);
    Supplier<TokenConstraint> constraint = constraints.of(given, ToolFields.of(given), form());
    StopConfig same =
        answer.cut()
            ? new StopConfig(
                answer.tokens.length,
                stop.minTokens(),
                stop.texts(),
                stop.tokens(),
                stop.ignoreEndOfText(),
                stop.slide())
            : stop;
    String asked = given.text("model", "");
    boolean adapted =
        origin != null && origin.adapters() != null && origin.adapters().containsKey(asked);
    return new GenerationRequest(
        prompt,
        sampling,
        same,
        0,
        constraint,
        GenerationRequest.Terms.USUAL.with(adapted ? asked : ""),
        routing);
  }
}
