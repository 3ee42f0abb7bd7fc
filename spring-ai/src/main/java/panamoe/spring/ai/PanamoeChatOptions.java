package panamoe.spring.ai;

import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.model.tool.DefaultToolCallingChatOptions;
import org.springframework.ai.model.tool.StructuredOutputChatOptions;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import panamoe.text.ToolChoice;

/**
 * Options of a reply: Spring AI's portable ones, tools, the schema of the reply, and those that
 * only Panamoe has. Null stands for the model's default. Immutable.
 */
public final class PanamoeChatOptions extends DefaultToolCallingChatOptions
    implements StructuredOutputChatOptions {
  private final Builder values; // never changed

  private PanamoeChatOptions(ToolCallingChatOptions portable, Builder values) {
    super(
        portable.getToolCallbacks(),
        portable.getToolContext(),
        portable.getModel(),
        portable.getFrequencyPenalty(),
        portable.getMaxTokens(),
        portable.getPresencePenalty(),
        portable.getStopSequences(),
        portable.getTemperature(),
        portable.getTopK(),
        portable.getTopP());
    this.values = values;
  }

  /** A builder. */
  public static Builder builder() {
    return new Builder();
  }

  @Override
  public Builder mutate() {
    return values.clone();
  }

  /** The JSON schema that a reply without calls keeps to while its tokens are sampled. */
  @Override
  public String getOutputSchema() {
    return values.outputSchema;
  }

  /** Of the random numbers: the same seed gives the same reply. */
  public Long getSeed() {
    return values.seed;
  }

  /** Tokens whose probability is below this part of the best one are not sampled. */
  public Double getMinP() {
    return values.minP;
  }

  /** Of tokens that occurred before; 1 for none. */
  public Double getRepetitionPenalty() {
    return values.repetitionPenalty;
  }

  /** A JSON object of variables for the model's template, like {@code enable_thinking}. */
  public String getVariables() {
    return values.variables;
  }

  /** How long a reply may take from its submission on; then it ends where it is. */
  public Duration getTimeout() {
    return values.timeout;
  }

  /** Whether a reply must call a tool. */
  public ToolChoice getToolChoice() {
    return values.toolChoice;
  }

  /** Whether a reply may call several tools; true by default. */
  public Boolean getParallelToolCalls() {
    return values.parallelToolCalls;
  }

  @Override
  public boolean equals(Object other) {
    return super.equals(other)
        && other instanceof PanamoeChatOptions that
        && values.own().equals(that.values.own());
  }

  @Override
  public int hashCode() {
    return Objects.hash(super.hashCode(), values.own());
  }

  /** Builds options. Not thread-safe. */
  public static final class Builder extends DefaultToolCallingChatOptions.Builder<Builder>
      implements StructuredOutputChatOptions.Builder<Builder> {
    private String outputSchema;
    private Long seed;
    private Double minP;
    private Double repetitionPenalty;
    private String variables;
    private Duration timeout;
    private ToolChoice toolChoice;
    private Boolean parallelToolCalls;

    private Builder() {}

    /** Sets {@link PanamoeChatOptions#getOutputSchema}. */
    @Override
    public Builder outputSchema(String json) {
      outputSchema = json;
      return this;
    }

    /** Sets {@link PanamoeChatOptions#getSeed}. */
    public Builder seed(Long value) {
      seed = value;
      return this;
    }

    /** Sets {@link PanamoeChatOptions#getMinP}. */
    public Builder minP(Double value) {
      minP = value;
      return this;
    }

    /** Sets {@link PanamoeChatOptions#getRepetitionPenalty}. */
    public Builder repetitionPenalty(Double value) {
      repetitionPenalty = value;
      return this;
    }

    /** Sets {@link PanamoeChatOptions#getVariables}. */
    public Builder variables(String json) {
      variables = json;
      return this;
    }

    /** Sets {@link PanamoeChatOptions#getTimeout}. */
    public Builder timeout(Duration value) {
      timeout = value;
      return this;
    }

    /** Sets {@link PanamoeChatOptions#getToolChoice}. */
    public Builder toolChoice(ToolChoice value) {
      toolChoice = value;
      return this;
    }

    /** Sets {@link PanamoeChatOptions#getParallelToolCalls}. */
    public Builder parallelToolCalls(Boolean value) {
      parallelToolCalls = value;
      return this;
    }

    /** Takes what the other builder sets. */
    @Override
    public Builder combineWith(ChatOptions.Builder<?> other) {
      super.combineWith(other);
      if (other instanceof Builder that) {
        outputSchema = or(that.outputSchema, outputSchema);
        seed = or(that.seed, seed);
        minP = or(that.minP, minP);
        repetitionPenalty = or(that.repetitionPenalty, repetitionPenalty);
        variables = or(that.variables, variables);
        timeout = or(that.timeout, timeout);
        toolChoice = or(that.toolChoice, toolChoice);
        parallelToolCalls = or(that.parallelToolCalls, parallelToolCalls);
      }
      return this;
    }

    @Override
    public PanamoeChatOptions build() {
      return new PanamoeChatOptions(super.build(), clone());
    }

    private List<Object> own() {
      return Arrays.asList(
          outputSchema,
          seed,
          minP,
          repetitionPenalty,
          variables,
          timeout,
          toolChoice,
          parallelToolCalls);
    }
  }

  static <T> T or(T asked, T usual) {
    return asked == null ? usual : asked;
  }
}
