package panamoe.harness.serve;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;
import panamoe.data.Markers;
import panamoe.data.Tokenizer;
import panamoe.conversation.template.ChatTemplate;
import panamoe.grammar.CallForm;

/** How a family of models writes an assistant's message: where thoughts and calls are in it. */
enum MessageForm {
  /** Calls between {@code <tool_call>} and {@code </tool_call>}; also where nothing tells. */
  HERMES,
  /** A list of calls. */
  MISTRAL,
  /** A marker before each call, another before its arguments: tokenizers v11 and later. */
  MISTRAL_V11,
  /** V3 and R1. */
  DEEPSEEK_V3,
  /** V3.1 and later. */
  DEEPSEEK_V31,
  HARMONY;

  /** The form of what a template writes for a model with this vocabulary. */
  static MessageForm of(ChatTemplate template, Tokenizer tokenizer) {
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

  /** How calls are written. */
  CallForm calls(Tokenizer tokenizer) {
    return switch (this) {
      case HERMES -> CallForm.HERMES;
      case MISTRAL -> CallForm.mistral(tokenizer);
      case MISTRAL_V11 -> CallForm.mistralV11(tokenizer);
      case DEEPSEEK_V3, DEEPSEEK_V31 -> CallForm.deepSeek(tokenizer, this == DEEPSEEK_V3);
      case HARMONY -> CallForm.harmony(tokenizer);
    };
  }

  /** Makes what finds calls in a text; not for {@link #HARMONY}. */
  ToolCallReader callReader(Tokenizer tokenizer) {
    return new ToolCallReader(
        switch (this) {
          case HERMES, HARMONY -> CallSyntax.HERMES;
          case MISTRAL -> CallSyntax.mistral(tokenizer);
          case MISTRAL_V11 -> CallSyntax.mistralV11(tokenizer);
          case DEEPSEEK_V3, DEEPSEEK_V31 -> CallSyntax.deepSeek(tokenizer);
        });
  }

  @JsonValue
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
