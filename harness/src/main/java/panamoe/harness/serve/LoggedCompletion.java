package panamoe.harness.serve;

import java.nio.file.Path;
import java.util.List;
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
import panamoe.io.ConfigJson;
import panamoe.io.Omittable;
import panamoe.io.Require;
import panamoe.io.Words;
import panamoe.open.ModelFolder;
import tools.jackson.databind.node.ObjectNode;

/**
 * A text that a server wrote, with all that its tokens depend on: a file of {@code --log-requests}.
 * Who asked for it, and how urgently, is not kept.
 *
 * @param id of the answer
 * @param index of the text in the answer
 * @param created seconds since 1970
 * @param origin what wrote it
 * @param prompt tokens
 * @param sampling with the seed of this text
 * @param fields the request's {@link #FIELDS} as they were given
 */
record LoggedCompletion(
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
  /** Fields that say what a text must keep to. */
  static final String[] FIELDS = {"response_format", "tools", "tool_choice", "parallel_tool_calls"};

  /** The longest file: indented, the fields of the longest request have some times its bytes. */
  static final int MOST_BYTES = 4 * Limits.BODY_BYTES;

  /**
   * What wrote a text.
   *
   * @param model the served model's id
   * @param checkpoint an absolute path
   * @param quantize of the experts' matrices; null: NONE
   * @param activations beside weights in blocks; null: INT8
   * @param expertsPerToken as {@code --experts-per-token}; null: as trained
   * @param device the backend's name
   * @param form of the model's messages; null: that of Hermes
   */
  record Origin(
      String model,
      String checkpoint,
      ComputeType dtype,
      @Omittable Quantization quantize,
      @Omittable Activations activations,
      KeyValueType keyValues,
      @Omittable List<Integer> expertsPerToken,
      String device,
      String fingerprint,
      @Omittable ReplyForm form) {

    /**
     * @param device the backend's name
     */
    static Origin of(ServedModel served, ModelFolder folder, Numerics numerics, String device) {
      return new Origin(
          served.name(),
          folder.weights().directory().toAbsolutePath().normalize().toString(),
          numerics.dtype(),
          numerics.quantize(),
          numerics.activations(),
          numerics.keyValues(),
          numerics.expertsPerToken().isEmpty() ? null : numerics.expertsPerToken(),
          device,
          served.fingerprint(),
          served.chat().form());
    }

    Numerics numerics() {
      return new Numerics(
          dtype,
          quantize == null ? Quantization.NONE : quantize,
          activations == null ? Activations.INT8 : activations,
          keyValues,
          expertsPerToken == null ? List.of() : expertsPerToken);
    }
  }

  /**
   * What was written.
   *
   * @param tokens up to the one that ended the text
   * @param logprobs of each token: the bits of a double in hexadecimal digits
   * @param end why it ended; null if it failed
   * @param failure why it failed; null if it did not
   */
  record Answer(
      int[] tokens, String[] logprobs, @Omittable Generation.End end, @Omittable String failure) {

    /** Whether the text was cut off by its client or by time, and so might have gone on. */
    boolean cut() {
      return end == Generation.End.CANCELLED || end == Generation.End.DEADLINE;
    }

    /** How {@code other} differs from this, in words; null if not at all. */
    String difference(Answer other) {
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

  LoggedCompletion {
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
   * @throws IllegalArgumentException if it is not such a file, with its name and what is wrong
   */
  static LoggedCompletion read(Path file) {
    return ConfigJson.read(file, LoggedCompletion.class, MOST_BYTES);
  }

  /** How the model writes its messages. */
  private ReplyForm form() {
    return origin == null || origin.form() == null ? ReplyForm.HERMES : origin.form();
  }

  String fileName() {
    return id + "-" + index + ".json";
  }

  /**
   * The request that is answered alike. Of a text that was cut off it asks for as much as there is.
   *
   * @param constraints of the model's tokenizer
   */
  GenerationRequest request(Constraints constraints) {
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
    return new GenerationRequest(
        prompt, sampling, same, 0, constraint, GenerationRequest.Terms.USUAL, routing);
  }
}
