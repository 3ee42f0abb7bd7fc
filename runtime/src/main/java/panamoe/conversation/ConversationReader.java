package panamoe.conversation;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Stream;
import panamoe.conversation.reply.FunctionCall;
import panamoe.io.DataException;
import panamoe.io.FileErrors;
import panamoe.io.Require;
import panamoe.io.StrictJson;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Reads conversations from JSON lines: OpenAI's form, {@code {"messages": [{"role", "content"}],
 * "tools": [...]}}, or ShareGPT's, {@code {"conversations": [{"from", "value"}], "system": ...}}. A
 * message with {@code "weight": 0} is context alone. Other keys are ignored. Also reads pairs of
 * answers.
 */
public final class ConversationReader {
  /** A prompt with two answers. */
  public record Pair(Conversation chosen, Conversation rejected) {}

  private static final Map<String, String> ROLES_OF_SHAREGPT =
      Map.of(
          "system", "system",
          "human", "user",
          "user", "user",
          "gpt", "assistant",
          "assistant", "assistant",
          "function_call", "assistant",
          "observation", "tool",
          "tool", "tool");

  private ConversationReader() {}

  /**
   * All conversations of a file, in order; empty lines are skipped.
   *
   * @throws DataException with the line, if one is not a conversation; if the file has none
   */
  public static List<Conversation> read(Path file) {
    return read(file, ConversationReader::conversation, "conversation");
  }

  /**
   * All pairs of a file, in order. The keys {@code chosen} and {@code rejected}, or OpenAI's {@code
   * preferred_output} and {@code non_preferred_output}, hold an answer: its text, its message or
   * messages, or the whole conversation with it. The prompt is in {@code prompt}, {@code messages},
   * {@code conversations} or OpenAI's {@code input}, or what both conversations begin with. Only
   * messages of the assistant behind the prompt are trained.
   *
   * @throws DataException with the line, if one is not a pair or its answers are equal; if the file
   *     has none
   */
  public static List<Pair> pairs(Path file) {
    return read(file, ConversationReader::pair, "pair of answers");
  }

  private static <T> List<T> read(Path file, Function<JsonNode, T> reader, String what) {
    List<T> all = new ArrayList<>();
    int line = 0;
    try (BufferedReader in = Files.newBufferedReader(file)) {
      for (String text = in.readLine(); text != null; text = in.readLine()) {
        line++;
        if (!text.isBlank()) {
          all.add(reader.apply(StrictJson.tree(text.getBytes(UTF_8))));
        }
      }
    } catch (JacksonException e) {
      throw new DataException(file + ", line " + line + " is not JSON: " + StrictJson.reason(e), e);
    } catch (IllegalArgumentException e) {
      throw new DataException(file + ", line " + line + ": " + e.getMessage(), e);
    } catch (IOException e) {
      throw new DataException("cannot read " + file + ": " + FileErrors.reason(e), e);
    }
    if (all.isEmpty()) {
      throw new DataException(file + " has no " + what);
    }
    return all;
  }

  private static Pair pair(JsonNode line) {
    JsonNode given = line.path("input").isObject() ? line.path("input") : line;
    List<Message> prompt = system(given);
    Stream.of("prompt", "messages", "conversations")
        .filter(given::has)
        .findFirst()
        .ifPresent(key -> prompt.addAll(messages(given.path(key), "user", prompt)));
    List<Message> chosen = answered(prompt, line, "chosen", "preferred_output");
    List<Message> rejected = answered(prompt, line, "rejected", "non_preferred_output");
    Require.that(!chosen.equals(rejected), "the chosen and the rejected answer are equal");
    int common = 0;
    while (common < Math.min(chosen.size(), rejected.size())
        && chosen.get(common).equals(rejected.get(common))) {
      common++;
    }
    Require.that(common > 0, "the two answers have no common prompt");
    BitSet context = new BitSet();
    context.set(0, common);
    Tools tools = tools(given.path("tools"));
    return new Pair(
        new Conversation(chosen, context, tools), new Conversation(rejected, context, tools));
  }

  /** The conversation with the answer that one of {@code keys} holds. */
  private static List<Message> answered(List<Message> prompt, JsonNode line, String... keys) {
    for (String key : keys) {
      List<Message> answer = messages(line.path(key), "assistant", prompt);
      if (!answer.isEmpty()) {
        return answer.getFirst().role().equals("assistant")
            ? Stream.concat(prompt.stream(), answer.stream()).toList()
            : answer;
      }
    }
    throw Require.refusal("expected an answer in \"%s\"", keys[0]);
  }

  /**
   * Messages in either form.
   *
   * @param given an array of messages, one, or the text of one; nothing gives none
   * @param role of the text
   * @param before the messages before them
   */
  private static List<Message> messages(JsonNode given, String role, List<Message> before) {
    if (given.isString()) {
      return List.of(Message.of(role, given.stringValue()));
    }
    List<Message> all = new ArrayList<>(before);
    for (JsonNode each : given.isObject() ? List.of(given) : given) {
      all.add(each.has("from") ? turn(each, all) : message(each));
    }
    return List.copyOf(all.subList(before.size(), all.size()));
  }

  /** The instructions in a key of their own, if there are any. */
  private static List<Message> system(JsonNode line) {
    List<Message> messages = new ArrayList<>();
    String text = line.path("system").asString("");
    if (!text.isBlank()) {
      messages.add(Message.of("system", text));
    }
    return messages;
  }

  private static Conversation conversation(JsonNode line) {
    JsonNode messages = line.path("messages");
    JsonNode turns = line.path("conversations");
    Require.that(
        messages.isArray() || turns.isArray(),
        "expected an object with an array \"messages\" or \"conversations\"");
    List<Message> read = system(line);
    BitSet context = new BitSet();
    for (JsonNode each : messages.isArray() ? messages : turns) {
      context.set(read.size(), each.path("weight").asDouble(1) == 0);
      read.add(messages.isArray() ? message(each) : turn(each, read));
    }
    return new Conversation(read, context, tools(line.path("tools")));
  }

  /** A message in OpenAI's form. */
  private static Message message(JsonNode message) {
    String role = text(message, "role");
    List<FunctionCall> calls = new ArrayList<>();
    for (JsonNode call : message.path("tool_calls")) {
      JsonNode function = call.path("function");
      calls.add(called(call.path("id").asString("call"), function));
    }
    String reasoning =
        message.path("reasoning_content").asString(message.path("reasoning").asString(null));
    return new Message(
        role,
        content(message.path("content")),
        message.path("name").asString(null),
        reasoning,
        calls,
        role.equals("tool") ? message.path("tool_call_id").asString("call") : null);
  }

  /** A string, an array of parts of text, or nothing. */
  private static String content(JsonNode content) {
    if (content.isMissingNode() || content.isNull()) {
      return "";
    }
    if (content.isString()) {
      return content.stringValue();
    }
    Require.that(content.isArray(), "the content of a message is not text");
    StringBuilder text = new StringBuilder();
    for (JsonNode part : content) {
      String type = part.path("type").asString("");
      Require.that(type.equals("text"), "a part of a message is of type '%s', not text", type);
      text.append(text(part, "text"));
    }
    return text.toString();
  }

  /**
   * A message in ShareGPT's form.
   *
   * @param before the messages before it: a result answers the call before it
   */
  private static Message turn(JsonNode turn, List<Message> before) {
    String from = text(turn, "from");
    String role = ROLES_OF_SHAREGPT.get(from);
    Require.that(
        role != null,
        "a message is from '%s', expected one of %s",
        from,
        ROLES_OF_SHAREGPT.keySet().stream().sorted().toList());
    String value = text(turn, "value");
    if (from.equals("function_call")) {
      JsonNode call = JsonMapper.shared().readTree(value);
      FunctionCall called = called("call_" + before.size(), call);
      return new Message(role, "", null, null, List.of(called), null);
    }
    return new Message(
        role, value, null, null, List.of(), role.equals("tool") ? lastCall(before) : null);
  }

  private static String lastCall(List<Message> before) {
    return before.stream()
        .flatMap(message -> message.calls().stream())
        .map(FunctionCall::id)
        .reduce((_, last) -> last)
        .orElseThrow(() -> new IllegalArgumentException("a result of a tool follows no call"));
  }

  /** A call whose arguments are an object, or the text of one. */
  private static FunctionCall called(String id, JsonNode function) {
    JsonNode given = function.path("arguments");
    FunctionCall call =
        new FunctionCall(
            id, text(function, "name"), given.isString() ? given.stringValue() : given.toString());
    call.object(); // refuses what is not an object
    return call;
  }

  /** The functions: an array in OpenAI's form, or the text of one. */
  private static Tools tools(JsonNode given) {
    JsonNode tools =
        given.isString() && !given.stringValue().isBlank()
            ? JsonMapper.shared().readTree(given.stringValue())
            : given;
    List<Tools.Function> functions = new ArrayList<>();
    if (tools.isArray()) {
      for (JsonNode tool : tools) {
        JsonNode function = tool.has("function") ? tool.path("function") : tool;
        functions.add(
            new Tools.Function(
                text(function, "name"),
                function.path("description").asString(null),
                function.get("parameters")));
      }
    }
    return Tools.of(functions, false, true);
  }

  private static String text(JsonNode of, String key) {
    JsonNode value = of.path(key);
    Require.that(value.isString(), "\"%s\" of a message, call or tool is not a string", key);
    return value.stringValue();
  }
}
