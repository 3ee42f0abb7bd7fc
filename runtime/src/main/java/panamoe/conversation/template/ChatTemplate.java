package panamoe.conversation.template;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import panamoe.data.ReleasedTokenizer;
import panamoe.io.DataException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * A model's chat template, which renders a conversation as a prompt. It is written in Jinja, comes
 * with the model and is not trusted: it can only compute, within {@link RenderLimits}. Immutable
 * and thread-safe.
 */
public final class ChatTemplate {
  /** The template's own file in a model's folder. */
  public static final String FILE = "chat_template.jinja";

  /** The file with the names of special tokens, and in some models the template. */
  public static final String CONFIG = "tokenizer_config.json";

  /** Where a processor of images had the template before {@link #FILE}. */
  public static final String OF_PROCESSOR = "chat_template.json";

  private static final int MOST_TEMPLATE_BYTES = 4 * Template.MOST_LENGTH; // UTF-8
  private static final String KEY = "chat_template";

  /** The template for all conversations, without functions if there is {@link #TOOLS}. */
  private static final String USUAL = "default";

  private static final String TOOLS = "tool_use";

  private final String name;
  private final Map<String, Template> templates; // by USUAL and TOOLS, or USUAL alone
  private final Map<String, String> tokens;
  private final LocalDateTime time; // null for the current time

  private ChatTemplate(
      String name,
      Map<String, Template> templates,
      Map<String, String> tokens,
      LocalDateTime time) {
    this.name = name;
    this.templates = templates;
    this.tokens = tokens;
    this.time = time;
  }

  /**
   * A template from its source.
   *
   * @param name of its origin, for messages
   * @param tokens special tokens by the names of their variables, such as {@code bos_token}
   * @throws TemplateException with the line, if the source is malformed or too long
   */
  public static ChatTemplate of(String text, String name, Map<String, String> tokens) {
    Map<String, Template> templates = Map.of(USUAL, Template.parse(text));
    return new ChatTemplate(name, templates, Map.copyOf(tokens), null);
  }

  private static Template parse(String text, String name) {
    try {
      return Template.parse(text);
    } catch (TemplateException e) {
      throw new DataException(name + ", " + e.getMessage(), e);
    }
  }

  /**
   * The template in a model's folder: the file {@link #FILE}, or else {@code chat_template} of
   * {@link #CONFIG}, a string or a list of named templates, or of {@link #OF_PROCESSOR}.
   *
   * @throws DataException if the template cannot be used
   */
  public static Optional<ChatTemplate> in(Path folder) {
    Path file = folder.resolve(FILE);
    if (Files.exists(file)) {
      return Optional.of(read(file, config(folder)));
    }
    JsonNode own = ReleasedTokenizer.optional(folder.resolve(CONFIG)).path(KEY);
    return in(
        config(folder), folder.resolve(own.isMissingNode() ? OF_PROCESSOR : CONFIG) + ", " + KEY);
  }

  /** The template in the content of {@link #CONFIG}; {@code name} is for messages. */
  private static Optional<ChatTemplate> in(JsonNode config, String name) {
    JsonNode given = config.path(KEY);
    Map<String, Template> templates = new HashMap<>();
    if (given.isString()) {
      templates.put(USUAL, parse(given.stringValue(), name));
    } else if (given.isArray()) {
      for (JsonNode one : given) {
        String key = one.path("name").asString("");
        templates.put(key, parse(one.path("template").asString(""), name + " " + key));
      }
      if (!templates.containsKey(USUAL)) {
        throw new DataException(name + " has no template of the name " + USUAL);
      }
      templates.keySet().retainAll(Set.of(USUAL, TOOLS));
    } else {
      return Optional.empty();
    }
    return Optional.of(new ChatTemplate(name, templates, tokens(config), null));
  }

  /**
   * The template in a GGUF file's metadata; empty if it has none.
   *
   * @param metadata by key, as for {@link ReleasedTokenizer#ofGguf}
   * @param file its name, for messages
   * @throws DataException if the template cannot be used
   */
  public static Optional<ChatTemplate> ofGguf(Map<String, ?> metadata, String file) {
    return in(config(metadata), file + ", tokenizer." + KEY);
  }

  /** A GGUF file's templates and special tokens in the form of {@link #CONFIG}. */
  public static ObjectNode config(Map<String, ?> metadata) {
    ObjectNode config = JsonNodeFactory.instance.objectNode();
    if (metadata.get("tokenizer.ggml.tokens") instanceof List<?> all) {
      for (String name : new String[] {"bos", "eos", "unknown", "padding"}) {
        if (metadata.get("tokenizer.ggml." + name + "_token_id") instanceof Long id
            && id >= 0
            && id < all.size()) {
          // The names in templates have three letters.
          config.put(name.substring(0, 3) + "_token", all.get(id.intValue()).toString());
        }
      }
    }
    Map<String, String> texts = ReleasedTokenizer.chatTemplates(metadata);
    if (texts.keySet().equals(Set.of(USUAL))) {
      config.put(KEY, texts.get(USUAL));
    } else if (!texts.isEmpty()) {
      ArrayNode named = config.putArray(KEY);
      texts.forEach((name, text) -> named.addObject().put("name", name).put("template", text));
    }
    return config;
  }

  /**
   * The template in a file.
   *
   * @param config of the model, with its special tokens
   * @throws DataException if it cannot be used
   */
  public static ChatTemplate read(Path file, JsonNode config) {
    String name = file.toString();
    Template template = parse(utf8(file), name);
    return new ChatTemplate(name, Map.of(USUAL, template), tokens(config), null);
  }

  /**
   * The content of {@link #CONFIG} in a model's folder, with the template of {@link #OF_PROCESSOR}
   * if it has none; a missing node if the folder has neither.
   */
  public static JsonNode config(Path folder) {
    JsonNode config = ReleasedTokenizer.optional(folder.resolve(CONFIG));
    JsonNode ofProcessor = ReleasedTokenizer.optional(folder.resolve(OF_PROCESSOR)).path(KEY);
    if (config.has(KEY) || ofProcessor.isMissingNode()) {
      return config;
    }
    ObjectNode both =
        config instanceof ObjectNode own ? own : JsonNodeFactory.instance.objectNode();
    both.set(KEY, ofProcessor);
    return both;
  }

  private static Map<String, String> tokens(JsonNode config) {
    Map<String, String> tokens = new HashMap<>();
    for (Map.Entry<String, JsonNode> entry : config.properties()) {
      JsonNode value =
          entry.getValue().isObject() ? entry.getValue().path("content") : entry.getValue();
      if (entry.getKey().endsWith("_token") && value.isString()) {
        tokens.put(entry.getKey(), value.stringValue());
      }
    }
    return tokens;
  }

  private static String utf8(Path file) {
    byte[] bytes = ReleasedTokenizer.read(file, MOST_TEMPLATE_BYTES);
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException e) {
      throw new DataException(file + " is not UTF-8", e);
    }
  }

  /** Its origin, for messages. */
  public String name() {
    return name;
  }

  /** Whether its source contains these words, such as a marker. */
  public boolean mentions(String words) {
    return templates.values().stream().anyMatch(each -> each.source().contains(words));
  }

  /** The special token in a variable of templates, such as {@code eos_token}. */
  public Optional<String> token(String variable) {
    return Optional.ofNullable(tokens.get(variable));
  }

  /** This template with a fixed time. */
  public ChatTemplate at(LocalDateTime time) {
    return new ChatTemplate(name, templates, tokens, time);
  }

  /**
   * The prompt of a conversation. Only the template's own text can become special tokens: the
   * strings of messages, tools and {@code extra} cannot, wherever the template puts them.
   *
   * @param messages in OpenAI's form, with string contents and with objects as arguments of calls,
   *     as most templates expect
   * @param tools in OpenAI's form; empty for none
   * @param answer whether the prompt ends with the beginning of the assistant's next message
   * @param extra further variables, such as {@code enable_thinking}; they cannot replace those
   *     above
   * @throws TemplateException if the template refuses the conversation, or fails
   */
  public Prompt render(ArrayNode messages, ArrayNode tools, boolean answer, ObjectNode extra) {
    ObjectNode variables = extra.deepCopy();
    variables.set("messages", messages);
    variables.set("tools", tools.isEmpty() ? null : tools);
    variables.putIfAbsent("documents", null);
    variables.put("add_generation_prompt", answer);
    return render(variables);
  }

  /**
   * The rendering of the template with any variables.
   *
   * @param variables all variables except special tokens
   */
  public Prompt render(ObjectNode variables) {
    Map<String, Object> values = new HashMap<>();
    tokens.forEach((token, text) -> values.put(token, Text.of(text)));
    variables
        .properties()
        .forEach(entry -> values.put(entry.getKey(), JinjaValues.of(entry.getValue())));
    if (values.get("messages") instanceof List<?> messages) {
      messages.forEach(ChatTemplate::trustRole);
    }
    Template usual = templates.get(USUAL);
    boolean tools = JinjaValues.truth(values.get("tools"));
    return (tools ? templates.getOrDefault(TOOLS, usual) : usual)
        .render(values, time == null ? LocalDateTime.now(ZoneId.systemDefault()) : time)
        .prompt();
  }

  /** Some templates build a marker from a role: a plain word counts as their own text. */
  @SuppressWarnings("unchecked") // mappings in templates hold values of any type
  private static void trustRole(Object message) {
    if (message instanceof Map<?, ?> map
        && map.get(Text.of("role")) instanceof Text role
        && role.chars().matches("[a-z_]+")) {
      ((Map<Object, Object>) map).put(Text.of("role"), Text.of(role.chars()));
    }
  }
}
