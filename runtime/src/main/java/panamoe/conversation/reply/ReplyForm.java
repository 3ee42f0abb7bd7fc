package panamoe.conversation.reply;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import panamoe.conversation.template.ChatTemplate;
import panamoe.data.Markers;
import panamoe.data.Tokenizer;
import panamoe.grammar.CallMarkup;
import tools.jackson.databind.JsonNode;

/** The markup of replies of a model family: thoughts and calls. */
public enum ReplyForm {
  /** Calls between {@code <tool_call>} and {@code </tool_call>}; the default. */
  HERMES(Hermes::of),
  /** A JSON list of calls: tokenizers before v11. */
  MISTRAL(Mistral::list),
  /** A marker before each call and one before its arguments: tokenizers v11 and later. */
  MISTRAL_V11(Mistral::each),
  /** JSON without a marker: Llama 3.1 and later. */
  LLAMA(Llama::of),
  /** A marker and a JSON list of calls: Granite 3, Phi-4-mini. */
  GRANITE(Granite::of),
  /** Elements {@code <arg_key>} and {@code <arg_value>}: GLM-4.5 and later. */
  GLM(Tagged::glm),
  /** Elements {@code <parameter name="KEY">}: MiniMax-M2. */
  MINIMAX(Tagged::miniMax),
  /** Elements {@code <parameter=KEY>}: Qwen3-Coder. */
  QWEN_CODER(Tagged::qwenCoder),
  /** V3 and R1. */
  DEEPSEEK_V3(tokenizer -> DeepSeek.of(tokenizer, true)),
  /** V3.1 and later. */
  DEEPSEEK_V31(tokenizer -> DeepSeek.of(tokenizer, false)),
  /** Messages in channels, for thoughts, calls and content. */
  HARMONY(Harmony::of);

  /** The tag that begins thoughts. */
  public static final String THINK = "<think>";

  /** The marker that ends thoughts. */
  public static final String THOUGHT = "</think>";

  private final Function<Tokenizer, ReplySyntax> syntax;

  ReplyForm(Function<Tokenizer, ReplySyntax> syntax) {
    this.syntax = syntax;
  }

  /** The form that a template and a vocabulary show. */
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
    if (template.mentions("{\"name\": function name, \"parameters\":")) {
      return LLAMA;
    }
    if (template.mentions("<arg_key>")) {
      return GLM;
    }
    if (template.mentions("<minimax:tool_call>")) {
      return MINIMAX;
    }
    if (template.mentions("<tool_call>") && template.mentions("<parameter=")) {
      return QWEN_CODER;
    }
    if (template.mentions(Granite.OPEN)
        || !Markers.in(tokenizer, Granite.OPEN).equals(Granite.OPEN)) {
      return GRANITE;
    }
    return HERMES;
  }

  /** The markup with this vocabulary's markers. */
  ReplySyntax syntax(Tokenizer tokenizer) {
    return syntax.apply(tokenizer);
  }

  /** The markup of calls, for a grammar. */
  public CallMarkup calls(Tokenizer tokenizer) {
    return syntax(tokenizer).form();
  }

  /**
   * Begins a reply.
   *
   * @param thoughts whether the reply may begin with tagged thoughts; ignored by {@link #HARMONY}
   * @param begun whether the prompt ends within thoughts
   * @param functions that the reply may call, with the schemas of their arguments; with none, what
   *     looks like a call is content
   */
  public Reply reply(
      Tokenizer tokenizer, boolean thoughts, boolean begun, Map<String, JsonNode> functions) {
    ReplyReader reader = syntax(tokenizer).reader(functions);
    return new Reply(
        thoughts && this != HARMONY ? new ReasoningReader(tokenizer, begun, reader) : reader);
  }

  @JsonValue
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
