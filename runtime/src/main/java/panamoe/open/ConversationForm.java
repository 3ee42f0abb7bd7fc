package panamoe.open;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import panamoe.data.DataException;
import panamoe.data.Tokenizer;
import panamoe.conversation.template.ChatTemplate;
import panamoe.conversation.template.Prompt;
import panamoe.conversation.template.TemplateException;
import panamoe.engine.GenerationRequest;

/**
 * The form of a model's conversations: its template's, or without one lines, {@code role: content}
 * for each message, and the assistant's line is left to write. Thread-safe.
 *
 * @param template of the model
 * @param ends where an answer ends
 */
public record ConversationForm(Optional<ChatTemplate> template, Tokenizer tokenizer, Ends ends) {
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
  public static ConversationForm lines(Tokenizer tokenizer) {
    return new ConversationForm(
        Optional.empty(), tokenizer, new Ends(List.of("\nuser:"), Set.of()));
  }

  /**
   * Of a template, which is tried on a short conversation.
   *
   * @throws DataException if the template fails on that
   */
  public static ConversationForm of(ChatTemplate template, Tokenizer tokenizer) {
    ArrayNode messages = JsonNodeFactory.instance.arrayNode();
    messages.addObject().put("role", "user").put("content", "Hello");
    ArrayNode tools = JsonNodeFactory.instance.arrayNode();
    ObjectNode variables = JsonNodeFactory.instance.objectNode();
    try {
      template.render(messages, tools, true, variables);
      messages.addObject().put("role", "assistant").put("content", ANSWER);
      Prompt whole = template.render(messages, tools, false, variables);
      Ends ends = new Ends(List.of(), endTokens(template, whole.text(), tokenizer));
      return new ConversationForm(Optional.of(template), tokenizer, ends);
    } catch (TemplateException e) {
      throw new DataException(
          template.name() + " gives no prompt for a short conversation: " + e.getMessage(), e);
    }
  }

  /**
   * Of a model: its own template's, else its family's, else lines.
   *
   * @throws DataException if there is a template that cannot be used
   * @throws panamoe.checkpoint.CheckpointException if the model has no tokenizer
   */
  public static ConversationForm of(ModelFolder folder) {
    Tokenizer tokenizer = folder.tokenizer();
    return folder
        .tokenizerFiles()
        .chatTemplate()
        .or(() -> FallbackTemplate.of(folder))
        .map(template -> of(template, tokenizer))
        .orElseGet(() -> lines(tokenizer));
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

  /**
   * The prompt of messages up to the assistant's next one.
   *
   * @param messages as OpenAI's, with contents that are strings
   * @throws TemplateException if the template refuses them
   */
  public Prompt prompt(ArrayNode messages) {
    return template.isPresent()
        ? template
            .get()
            .render(
                messages,
                JsonNodeFactory.instance.arrayNode(),
                true,
                JsonNodeFactory.instance.objectNode())
        : lines("", messages, _ -> "");
  }

  /**
   * Messages as lines.
   *
   * @param before all of them
   * @param behind a message's content
   */
  public static Prompt lines(String before, ArrayNode messages, Function<JsonNode, String> behind) {
    StringBuilder text = new StringBuilder(before);
    for (JsonNode message : messages) {
      text.append(message.path("role").textValue())
          .append(": ")
          .append(message.path("content").textValue())
          .append(behind.apply(message))
          .append('\n');
    }
    text.append("assistant:");
    BitSet literal = new BitSet();
    literal.set(0, text.length());
    return new Prompt(text.toString(), literal);
  }

  public int[] tokens(Prompt prompt) {
    return template.isPresent()
        ? prompt.tokens(tokenizer)
        : GenerationRequest.tokensOf(prompt.text(), tokenizer);
  }
}
