package panamoe.harness.serve;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import panamoe.data.Tokenizer;
import panamoe.conversation.template.ChatTemplate;
import panamoe.conversation.template.Prompt;
import panamoe.conversation.template.TemplateException;
import panamoe.open.ConversationForm;

/**
 * How a model's conversations become prompts: by its template, or without one as lines, {@code
 * role: content} for each message, and the assistant's line is left to write. A model with an
 * encoder has no conversations. Thread-safe.
 */
public final class ChatPrompt {
  /** Variables of templates that a request sets: all that it says beside the conversation. */
  private static final String VARIABLES = "chat_template_kwargs";

  private static final String EFFORT = "reasoning_effort";

  /** What OpenAI's models and DeepSeek's know. */
  private static final List<String> EFFORTS =
      List.of("none", "minimal", "low", "medium", "high", "xhigh", "max");

  /** What GPT-OSS was trained on; its template would write any other word as well. */
  private static final List<String> HARMONY_EFFORTS = List.of("low", "medium", "high");

  private final boolean talks;
  private final ConversationForm conversation;
  private final Optional<ChatTemplate> template;
  private final Tokenizer tokenizer;
  private final MessageForm form;
  private final CallShape calls;

  private ChatPrompt(
      boolean talks, ConversationForm conversation, MessageForm form, CallShape calls) {
    this.talks = talks;
    this.conversation = conversation;
    this.template = conversation.template();
    this.tokenizer = conversation.tokenizer();
    this.form = form;
    this.calls = calls;
  }

  /** The prompts of a model without a template. */
  public static ChatPrompt lines(Tokenizer tokenizer) {
    return withoutTemplate(tokenizer, true);
  }

  /** Whether there are conversations at all. */
  boolean talks() {
    return talks;
  }

  /** Refuses every request, as a model with an encoder does. */
  static ChatPrompt none(Tokenizer tokenizer) {
    return withoutTemplate(tokenizer, false);
  }

  private static ChatPrompt withoutTemplate(Tokenizer tokenizer, boolean talks) {
    return new ChatPrompt(
        talks, ConversationForm.lines(tokenizer), MessageForm.HERMES, CallShape.USUAL);
  }

  /**
   * The prompts of a model's template, which is tried on a short conversation.
   *
   * @throws panamoe.data.DataException if the template fails on that
   */
  public static ChatPrompt of(ChatTemplate template, Tokenizer tokenizer) {
    return new ChatPrompt(
        true,
        ConversationForm.of(template, tokenizer),
        MessageForm.of(template, tokenizer),
        CallShape.of(template));
  }

  /** Where answers end. */
  public ConversationForm.Ends ends() {
    return conversation.ends();
  }

  /** How the model writes its messages. */
  MessageForm form() {
    return form;
  }

  /** Reads an answer that calls nothing. */
  public MessageReader reader(Prompt prompt) {
    Supplier<MessageReader> readers = readers(prompt, true, false);
    return readers == null ? new TaggedReader(null, null) : readers.get();
  }

  /**
   * Makes what reads the texts that answer a prompt.
   *
   * @param free whether they may begin with thoughts: no grammar holds there
   * @param calling whether they may call functions
   * @return null if all of a text is content
   */
  Supplier<MessageReader> readers(Prompt prompt, boolean free, boolean calling) {
    if (form == MessageForm.HARMONY) {
      return () -> new HarmonyReader(calling);
    }
    if (template.isEmpty() && !calling) {
      return null;
    }
    boolean begun = free && ReasoningReader.isBegun(prompt);
    return () ->
        new TaggedReader(
            template.isEmpty() ? null : new ReasoningReader(begun),
            calling ? form.callReader(tokenizer) : null);
  }

  public int[] tokens(Prompt prompt) {
    return conversation.tokens(prompt);
  }

  /**
   * The prompt of a conversation up to the assistant's next message.
   *
   * @param messages as OpenAI's, with contents that are strings
   * @throws TemplateException if the template refuses them
   */
  public Prompt of(ArrayNode messages) {
    return of(messages, Tools.NONE, JsonNodeFactory.instance.objectNode());
  }

  private Prompt of(ArrayNode messages, Tools tools, ObjectNode variables) {
    return template
        .map(present -> present.render(calls.of(messages), tools.given(), true, variables))
        .orElseGet(() -> lines(messages, tools));
  }

  /**
   * The prompt of a request's {@code messages}, with what may be called.
   *
   * @throws ApiError if they are no conversation, or the template or the model refuses them
   */
  Prompt of(Fields fields, Tools tools) {
    if (!talks) {
      throw ApiError.unsupported(
          "the model has an encoder: it answers one text, not a conversation; use /v1/completions",
          "messages");
    }
    ArrayNode messages = ChatMessages.of(fields, template.isPresent());
    try {
      return of(messages, tools, variables(fields));
    } catch (TemplateException e) {
      throw ApiError.invalid(e.reason(), "messages");
    }
  }

  private ObjectNode variables(Fields fields) {
    String effort = effort(fields);
    if (template.isEmpty()) {
      fields.refuse(VARIABLES);
      return JsonNodeFactory.instance.objectNode();
    }
    JsonNode given = fields.take(VARIABLES);
    if (given != null && !given.isObject()) {
      throw fields.wrong(VARIABLES, "is not an object");
    }
    ObjectNode variables =
        given == null ? JsonNodeFactory.instance.objectNode() : ((ObjectNode) given).deepCopy();
    if (effort != null) {
      variables.put(EFFORT, effort);
    }
    return variables;
  }

  /** Null if the request has none. A template that does not know of it writes the same prompt. */
  private String effort(Fields fields) {
    List<String> known = form == MessageForm.HARMONY ? HARMONY_EFFORTS : EFFORTS;
    String effort = fields.text(EFFORT, null);
    if (effort != null && !known.contains(effort)) {
      throw fields.wrong(EFFORT, "is none of " + String.join(", ", known));
    }
    return effort;
  }

  private static Prompt lines(ArrayNode messages, Tools tools) {
    return ConversationForm.lines(
        tools.line(), messages, message -> ToolMessages.text(message.path("tool_calls")));
  }
}
