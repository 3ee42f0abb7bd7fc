package panamoe.conversation.reply;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;
import java.util.function.Function;
import panamoe.conversation.template.ChatTemplate;
import panamoe.data.Markers;
import panamoe.data.Tokenizer;
import panamoe.grammar.CallMarkup;

/** How a family of models writes an assistant's message: where thoughts and calls are in it. */
public enum ReplyForm {
  /** Calls between {@code <tool_call>} and {@code </tool_call>}; also where nothing tells. */
  HERMES(Hermes::of),
  /** A list of calls. */
  MISTRAL(Mistral::list),
  /** A marker before each call, another before its arguments: tokenizers v11 and later. */
  MISTRAL_V11(Mistral::each),
  /** V3 and R1. */
  DEEPSEEK_V3(tokenizer -> DeepSeek.of(tokenizer, true)),
  /** V3.1 and later. */
  DEEPSEEK_V31(tokenizer -> DeepSeek.of(tokenizer, false)),
  /** Messages of channels, of which one has thoughts and others calls. */
  HARMONY(Harmony::of);

  /** What begins thoughts. */
  public static final String THINK = "<think>";

  private final Function<Tokenizer, ReplySyntax> syntax;

  ReplyForm(Function<Tokenizer, ReplySyntax> syntax) {
    this.syntax = syntax;
  }

  /** The form of what a template writes for a model with this vocabulary. */
  public static ReplyForm of(ChatTemplate template, Tokenizer tokenizer) {
    if (template.mentions("<|channel|>")
        && !Markers.in(tokenizer, "<|channel|>").equals("<|channel|>")) {
      return HARMONY;
    }
    if (template.mentions("<｜tool▁calls▁begin｜>")) {
      return template.mentions("```json") ? DEEPSEEK_V3 : DEEPSEEK_V31;
    }
    if (template.mentions("[TOOL_CALLS]")) {
      return template.mentions("[ARGS]") ? MISTRAL_V11 : MISTRAL;
    }
    return HERMES;
  }

  /** What a model with this vocabulary writes. */
  ReplySyntax syntax(Tokenizer tokenizer) {
    return syntax.apply(tokenizer);
  }

  /** How calls are written, for a grammar. */
  public CallMarkup calls(Tokenizer tokenizer) {
    return syntax(tokenizer).form();
  }

  /**
   * Begins a reply.
   *
   * @param thoughts whether it may begin with thoughts in tags, which {@link #HARMONY} has not
   * @param begun whether the prompt ends in the midst of them
   * @param calling whether it may call functions; else what looks like a call is content
   */
  public Reply reply(Tokenizer tokenizer, boolean thoughts, boolean begun, boolean calling) {
    ReplyReader reader = syntax(tokenizer).reader(calling);
    return new Reply(
        thoughts && this != HARMONY ? new ReasoningReader(tokenizer, begun, reader) : reader);
  }

  @JsonValue
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
