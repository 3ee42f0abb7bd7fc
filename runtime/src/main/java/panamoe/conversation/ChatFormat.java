package panamoe.conversation;

import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import panamoe.conversation.reply.FunctionCall;
import panamoe.conversation.reply.Hermes;
import panamoe.conversation.reply.Reply;
import panamoe.conversation.reply.ReplyForm;
import panamoe.conversation.template.ChatTemplate;
import panamoe.conversation.template.Prompt;
import panamoe.conversation.template.TemplateException;
import panamoe.data.Markers;
import panamoe.data.Tokenizer;
import panamoe.engine.GenerationRequest;
import panamoe.io.DataException;
import panamoe.io.Words;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.MissingNode;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

/**
 * Turns conversations into prompts and completions into replies: by the model's chat template. A
 * model without a template gets a line {@code role: content} for each message, and the assistant's
 * line last. Immutable and thread-safe.
 *
 * @param template the chat template; empty for lines
 * @param calls how the template expects calls in messages
 * @param form the markup of the model's replies
 * @param ends where replies end
 */
public record ChatFormat(
    Optional<ChatTemplate> template,
    Tokenizer tokenizer,
    ToolCallFormat calls,
    ReplyForm form,
    Ends ends) {
  /** The values that OpenAI's and DeepSeek's APIs take. */
  private static final List<String> EFFORTS =
      List.of("none", "minimal", "low", "medium", "high", "xhigh", "max");

  /** The values that GPT-OSS was trained on; its template would render any other word too. */
  private static final List<String> HARMONY_EFFORTS = List.of("low", "medium", "high");

  private static final String ANSWER = "the answer";

  /**
   * Where a reply ends.
   *
   * @param texts stop strings
   * @param tokens stop tokens in addition to the model's end of text
   */
  public record Ends(List<String> texts, Set<Integer> tokens) {
    /** Only the model's end of text. */
    public static final Ends NONE = new Ends(List.of(), Set.of());
  }

  /** The format of a model without a template. */
  public static ChatFormat lines(Tokenizer tokenizer) {
    return new ChatFormat(
        Optional.empty(),
        tokenizer,
        ToolCallFormat.USUAL,
        ReplyForm.HERMES,
        new Ends(List.of("\nuser:"), Set.of()));
  }

  /**
   * The format of a template, after a trial on a short conversation.
   *
   * @throws DataException if the template fails on it, or renders nothing
   */
  public static ChatFormat of(ChatTemplate template, Tokenizer tokenizer) {
    ArrayNode messages = JsonNodeFactory.instance.arrayNode();
    messages.addObject().put("role", "user").put("content", "Hello");
    ArrayNode tools = JsonNodeFactory.instance.arrayNode();
    ObjectNode variables = JsonNodeFactory.instance.objectNode();
    try {
      if (template.render(messages, tools, true, variables).text().isBlank()) {
        throw new DataException(template.name() + " gives no prompt for a short conversation");
      }
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

  /** The special tokens that end a turn: eos, and the one that the template renders there. */
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

  /** The values of {@code reasoning_effort}. A template may ignore it. */
  public List<String> efforts() {
    return form == ReplyForm.HARMONY ? HARMONY_EFFORTS : EFFORTS;
  }

  /** The prompt of a conversation without functions and variables. */
  public Prompt prompt(List<Message> messages) {
    return prompt(messages, Tools.NONE, JsonNodeFactory.instance.objectNode());
  }

  /**
   * The prompt of a conversation up to the assistant's next message.
   *
   * @param variables of the template, such as {@code enable_thinking} and {@code documents};
   *     ignored without a template
   * @throws TemplateException if the template refuses the conversation
   * @throws IllegalArgumentException if the arguments of a call are not the text of a JSON object
   */
  public Prompt prompt(List<Message> messages, Tools tools, ObjectNode variables) {
    return render(messages, tools, variables, true);
  }

  /**
   * Like {@link #prompt(List, Tools, ObjectNode)}, but perhaps without the beginning of the next
   * message.
   *
   * @param answer whether the assistant's next message begins
   */
  Prompt render(List<Message> messages, Tools tools, ObjectNode variables, boolean answer) {
    return template
        .map(present -> present.render(calls.json(messages), tools.json(), answer, variables))
        .orElseGet(() -> lines(messages, tools, answer));
  }

  private static Prompt lines(List<Message> messages, Tools tools, boolean answer) {
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
        call.object(); // refuses arguments that are not JSON
        text.append(Hermes.plain(StringNode.valueOf(call.name()).toString(), call.arguments()));
      }
      text.append('\n');
    }
    text.append(answer ? "assistant:" : "");
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

  /** The tokens of a prompt's text from a character on, which follow other tokens. */
  int[] tokensBehind(Prompt prompt, int from) {
    String text = prompt.text().substring(from);
    return template.isPresent()
        ? new Prompt(text, prompt.literal().get(from, prompt.text().length())).tokens(tokenizer)
        : tokenizer.encode(text);
  }

  /** A warning for conversations with tools if calls are not read in the template's form. */
  public Optional<String> toolWarning() {
    return template
        .filter(shown -> calls.trial(shown).filter(prompt -> !isRead(prompt)).isPresent())
        .map(
            shown ->
                Words.of(
                    "%s shows calls in a form that is not read: replies call in that of %s instead",
                    shown.name(), form));
  }

  /** Whether the call of a trial is read. */
  private boolean isRead(Prompt trial) {
    Reply reply =
        form.reply(tokenizer, false, false, Map.of(ToolCallFormat.NAME, MissingNode.getInstance()));
    reply.next(Markers.text(tokenizer, trial.tokens(tokenizer)));
    return reply.calls().stream().anyMatch(call -> call.name().equals(ToolCallFormat.NAME));
  }

  /** Whether all of a reply is content. */
  public boolean repliesPlainly(Tools tools) {
    return template.isEmpty() && !tools.any();
  }

  /**
   * Begins a reply to a prompt. A reply that a grammar constrains from its first token cannot
   * continue the prompt's thoughts.
   *
   * @param json whether its content must be JSON
   * @param tools the functions that it may call; with none, what looks like a call is content
   */
  public Reply reply(Prompt prompt, boolean json, Tools tools) {
    boolean begun = !json && !tools.required() && prompt.endsWith(ReplyForm.THINK);
    return form.reply(tokenizer, template.isPresent(), begun, tools.callable());
  }
}
