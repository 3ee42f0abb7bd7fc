package panamoe.conversation;

import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import panamoe.conversation.reply.FunctionCall;
import panamoe.conversation.reply.Hermes;
import panamoe.conversation.reply.Reply;
import panamoe.conversation.reply.ReplyForm;
import panamoe.conversation.template.ChatTemplate;
import panamoe.conversation.template.Prompt;
import panamoe.conversation.template.TemplateException;
import panamoe.data.DataException;
import panamoe.data.Tokenizer;
import panamoe.engine.GenerationRequest;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

/**
 * How a model's conversations become prompts, and its texts replies: by its template, or without
 * one as lines, {@code role: content} for each message, and the assistant's line is left to write.
 * Immutable and thread-safe.
 *
 * @param template of the model
 * @param calls how it wants calls in messages
 * @param form of the model's replies
 * @param ends where these end
 */
public record ChatFormat(
    Optional<ChatTemplate> template,
    Tokenizer tokenizer,
    ToolCallFormat calls,
    ReplyForm form,
    Ends ends) {
  /** What OpenAI's models and DeepSeek's know. */
  private static final List<String> EFFORTS =
      List.of("none", "minimal", "low", "medium", "high", "xhigh", "max");

  /** What GPT-OSS was trained on; its template would write any other word as well. */
  private static final List<String> HARMONY_EFFORTS = List.of("low", "medium", "high");

  private static final String ANSWER = "the answer";

  /**
   * Where an answer ends.
   *
   * @param texts and before which it does
   * @param tokens beside the model's end of text
   */
  public record Ends(List<String> texts, Set<Integer> tokens) {
    /** Where the text does. */
    public static final Ends NONE = new Ends(List.of(), Set.of());
  }

  /** Of a model without a template. */
  public static ChatFormat lines(Tokenizer tokenizer) {
    return new ChatFormat(
        Optional.empty(),
        tokenizer,
        ToolCallFormat.USUAL,
        ReplyForm.HERMES,
        new Ends(List.of("\nuser:"), Set.of()));
  }

  /**
   * Of a template, which is tried on a short conversation.
   *
   * @throws DataException if the template fails on that
   */
  public static ChatFormat of(ChatTemplate template, Tokenizer tokenizer) {
    ArrayNode messages = JsonNodeFactory.instance.arrayNode();
    messages.addObject().put("role", "user").put("content", "Hello");
    ArrayNode tools = JsonNodeFactory.instance.arrayNode();
    ObjectNode variables = JsonNodeFactory.instance.objectNode();
    try {
      template.render(messages, tools, true, variables);
      messages.addObject().put("role", "assistant").put("content", ANSWER);
      Prompt whole = template.render(messages, tools, false, variables);
      return new ChatFormat(
          Optional.of(template),
          tokenizer,
          ToolCallFormat.of(template),
          ReplyForm.of(template, tokenizer),
          new Ends(List.of(), endTokens(template, whole.text(), tokenizer)));
    } catch (TemplateException e) {
      throw new DataException(
          template.name() + " gives no prompt for a short conversation: " + e.getMessage(), e);
    }
  }

  /** The special tokens that end a turn: the one behind the answer of a conversation, and eos. */
  private static Set<Integer> endTokens(
      ChatTemplate template, String conversation, Tokenizer tokenizer) {
    Set<Integer> tokens = new HashSet<>();
    int answer = conversation.lastIndexOf(ANSWER);
    String after = answer < 0 ? "" : conversation.substring(answer + ANSWER.length());
    for (String text : List.of(after.strip(), template.token("eos_token").orElse(""))) {
      int[] behind = tokenizer.encodeWithSpecialTokens(text, new BitSet());
      if (behind.length > 0 && tokenizer.bytesOf(behind[0]).length == 0) {
        tokens.add(behind[0]);
      }
    }
    return tokens;
  }

  /** The values of {@code reasoning_effort}; a template may not know of it. */
  public List<String> efforts() {
    return form == ReplyForm.HARMONY ? HARMONY_EFFORTS : EFFORTS;
  }

  /** As below, without functions and variables. */
  public Prompt prompt(List<Message> messages) {
    return prompt(messages, Tools.NONE, JsonNodeFactory.instance.objectNode());
  }

  /**
   * The prompt of a conversation up to the assistant's next message.
   *
   * @param variables of the template, such as {@code enable_thinking} and {@code documents}; lines
   *     have none
   * @throws TemplateException if the template refuses them
   * @throws IllegalArgumentException if the arguments of a call are not the text of a JSON object
   */
  public Prompt prompt(List<Message> messages, Tools tools, ObjectNode variables) {
    return template
        .map(present -> present.render(calls.json(messages), tools.json(), true, variables))
        .orElseGet(() -> lines(messages, tools));
  }

  private static Prompt lines(List<Message> messages, Tools tools) {
    StringBuilder text = new StringBuilder();
    if (!tools.shown().isEmpty()) {
      text.append("system: Functions that can be called: <tools>[")
          .append(
              String.join(",", tools.shown().stream().map(each -> each.json().toString()).toList()))
          .append("]</tools> A call is written as ")
          .append(Hermes.plain("NAME", "{...}"))
          .append('\n');
    }
    for (Message message : messages) {
      text.append(message.role()).append(": ").append(message.content());
      for (FunctionCall call : message.calls()) {
        call.object(); // refuses other text
        text.append(Hermes.plain(StringNode.valueOf(call.name()).toString(), call.arguments()));
      }
      text.append('\n');
    }
    text.append("assistant:");
    BitSet literal = new BitSet();
    literal.set(0, text.length());
    return new Prompt(text.toString(), literal);
  }

  /** A prompt's tokens. */
  public int[] tokens(Prompt prompt) {
    return template.isPresent()
        ? prompt.tokens(tokenizer)
        : GenerationRequest.tokensOf(prompt.text(), tokenizer);
  }

  /** Whether all of a reply is content. */
  public boolean repliesPlainly(boolean calling) {
    return template.isEmpty() && !calling;
  }

  /**
   * Begins a reply to a prompt.
   *
   * @param free whether it may begin within the prompt's thoughts: no grammar holds there
   * @param calling whether it may call functions; else what looks like a call is content
   */
  public Reply reply(Prompt prompt, boolean free, boolean calling) {
    boolean begun = free && prompt.endsWith(ReplyForm.THINK);
    return form.reply(tokenizer, template.isPresent(), begun, calling);
  }
}
