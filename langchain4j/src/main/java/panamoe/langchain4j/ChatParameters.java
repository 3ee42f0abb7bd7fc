package panamoe.langchain4j;

import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.request.DefaultChatRequestParameters;
import java.time.Duration;
import java.util.Objects;

/**
 * Parameters of a request that only Panamoe has, beside LangChain4j's own. Null stands for the
 * model's default. Immutable.
 */
public final class ChatParameters extends DefaultChatRequestParameters {
  /** No parameter is set. */
  public static final ChatParameters EMPTY = builder().build();

  private final Long seed;
  private final Double minP;
  private final Double repetitionPenalty;
  private final String variables;
  private final Duration timeout;
  private final Boolean parallelToolCalls;

  private ChatParameters(Builder builder) {
    super(builder);
    seed = builder.seed;
    minP = builder.minP;
    repetitionPenalty = builder.repetitionPenalty;
    variables = builder.variables;
    timeout = builder.timeout;
    parallelToolCalls = builder.parallelToolCalls;
  }

  /** A builder. */
  public static Builder builder() {
    return new Builder();
  }

  /** Of the random numbers: the same seed gives the same reply. */
  public Long seed() {
    return seed;
  }

  /** Only tokens are sampled whose probability is at least this part of the best one's. */
  public Double minP() {
    return minP;
  }

  /** Of tokens that occurred before; 1 for none. */
  public Double repetitionPenalty() {
    return repetitionPenalty;
  }

  /** A JSON object of variables for the model's template, like {@code enable_thinking}. */
  public String variables() {
    return variables;
  }

  /** How long a reply may take from its submission on. */
  public Duration timeout() {
    return timeout;
  }

  /** Whether a reply may call several tools; true by default. */
  public Boolean parallelToolCalls() {
    return parallelToolCalls;
  }

  @Override
  public ChatParameters overrideWith(ChatRequestParameters that) {
    return builder().overrideWith(this).overrideWith(that).build();
  }

  @Override
  public ChatParameters defaultedBy(ChatRequestParameters that) {
    return builder().overrideWith(that).overrideWith(this).build();
  }

  @Override
  public boolean equals(Object other) {
    return super.equals(other)
        && other instanceof ChatParameters that
        && Objects.equals(seed, that.seed)
        && Objects.equals(minP, that.minP)
        && Objects.equals(repetitionPenalty, that.repetitionPenalty)
        && Objects.equals(variables, that.variables)
        && Objects.equals(timeout, that.timeout)
        && Objects.equals(parallelToolCalls, that.parallelToolCalls);
  }

  @Override
  public int hashCode() {
    return Objects.hash(
        super.hashCode(), seed, minP, repetitionPenalty, variables, timeout, parallelToolCalls);
  }

  /** Builds parameters. Not thread-safe. */
  public static final class Builder extends DefaultChatRequestParameters.Builder<Builder> {
    private Long seed;
    private Double minP;
    private Double repetitionPenalty;
    private String variables;
    private Duration timeout;
    private Boolean parallelToolCalls;

    private Builder() {}

    /** Sets {@link ChatParameters#seed}. */
    public Builder seed(Long value) {
      seed = value;
      return this;
    }

    /** Sets {@link ChatParameters#minP}. */
    public Builder minP(Double value) {
      minP = value;
      return this;
    }

    /** Sets {@link ChatParameters#repetitionPenalty}. */
    public Builder repetitionPenalty(Double value) {
      repetitionPenalty = value;
      return this;
    }

    /** Sets {@link ChatParameters#variables}. */
    public Builder variables(String json) {
      variables = json;
      return this;
    }

    /** Sets {@link ChatParameters#timeout}. */
    public Builder timeout(Duration value) {
      timeout = value;
      return this;
    }

    /** Sets {@link ChatParameters#parallelToolCalls}. */
    public Builder parallelToolCalls(Boolean value) {
      parallelToolCalls = value;
      return this;
    }

    /** Takes what the parameters set. */
    @Override
    public Builder overrideWith(ChatRequestParameters parameters) {
      super.overrideWith(parameters);
      if (parameters instanceof ChatParameters that) {
        seed = Conversation.or(that.seed, seed);
        minP = Conversation.or(that.minP, minP);
        repetitionPenalty = Conversation.or(that.repetitionPenalty, repetitionPenalty);
        variables = Conversation.or(that.variables, variables);
        timeout = Conversation.or(that.timeout, timeout);
        parallelToolCalls = Conversation.or(that.parallelToolCalls, parallelToolCalls);
      }
      return this;
    }

    @Override
    public ChatParameters build() {
      return new ChatParameters(this);
    }
  }
}
