package panamoe.harness.serve.messages;

import java.util.List;
import panamoe.conversation.ChatFormat;
import panamoe.conversation.Message;
import panamoe.grammar.JsonGrammar;
import panamoe.harness.serve.completion.Conversation;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.Fields;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.BooleanNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * A request of Anthropic's Messages API. Its fields are translated to those of chat completions.
 *
 * @param stops the request's stop sequences
 * @param thoughts whether the response shows thoughts
 */
record MessagesRequest(Conversation conversation, JsonNode stops, boolean thoughts) {
  private static final String CHOICE = "tool_choice";

  /**
   * Reads a request; fields that have the same meaning in chat completions are left.
   *
   * @throws ApiError if a field is wrong, or the template refuses the messages
   */
  static MessagesRequest of(Fields fields, ChatFormat chat) {
    // Of chat completions: the response has no place for what they ask.
    fields.refuse("n", "max_completion_tokens", "stream_options", "return_token_ids", "moe");
    if (fields.take("thread") != null) {
      throw ApiError.thread();
    }
    fields.ignore("cache_control", "diagnostics", "inference_geo", "speed");
    fields.rename("stop_sequences", "stop");
    user(fields);
    boolean thoughts = thinking(fields, chat);
    output(fields);
    context(fields);
    tools(fields);
    choice(fields);
    List<Message> messages = MessagesReader.of(fields);
    return new MessagesRequest(
        Conversation.of(fields, messages, chat), fields.given("stop").path("stop"), thoughts);
  }

  private static void user(Fields fields) {
    Fields metadata = fields.inner("metadata");
    if (metadata != null) {
      fields.translate("metadata.user_id", "user", metadata.take("user_id"));
      metadata.requireNoOthers();
    }
  }

  /** Sets the template's variables; returns whether thoughts are shown. */
  private static boolean thinking(Fields fields, ChatFormat chat) {
    Fields thinking = fields.inner("thinking");
    if (thinking == null) {
      return true;
    }
    String type = thinking.text("type", "");
    if (!List.of("enabled", "adaptive", "disabled").contains(type)) {
      throw thinking.wrong("type", "is none of enabled, adaptive and disabled");
    }
    thinking.integer("budget_tokens", 0, 0, Integer.MAX_VALUE); // not enforced
    String display = thinking.text("display", "summarized");
    boolean shown = display.equals("summarized");
    thinking.require(
        shown || display.equals("omitted"), "display", "is neither summarized nor omitted");
    thinking.requireNoOthers();
    Conversation.think(fields, "thinking", !type.equals("disabled"), chat);
    return shown;
  }

  private static void output(Fields fields) {
    Fields output = fields.inner("output_config");
    if (output != null) {
      JsonNode effort = output.take("effort");
      if (effort != null) {
        fields.translate("output_config.effort", "reasoning_effort", effort);
      }
      format(fields, "output_config.format", output.take("format"));
      output.requireNoOthers();
    }
    format(fields, "output_format", fields.take("output_format"));
  }

  private static void format(Fields fields, String name, JsonNode format) {
    if (format != null) {
      fields.translate(name, "response_format", format);
    }
  }

  /** Thoughts of earlier turns are the template's choice; nothing else may be cleared. */
  private static void context(Fields fields) {
    Fields context = fields.inner("context_management");
    JsonNode edits = context == null ? null : context.take("edits");
    for (int i = 0; edits != null && i < edits.size(); i++) {
      String type = edits.path(i).path("type").asString("");
      if (!type.startsWith("clear_thinking")) {
        throw ApiError.unsupported(
            "context_management.edits[" + i + "].type is not supported, except clear_thinking",
            "context_management");
      }
    }
    if (context != null) {
      context.requireNoOthers();
    }
  }

  private static void tools(Fields fields) {
    JsonNode tools = fields.take("tools");
    if (tools == null) {
      return;
    }
    fields.require(tools.isArray(), "tools", "is not an array of tools");
    ArrayNode functions = JsonNodeFactory.instance.arrayNode();
    for (int i = 0; i < tools.size(); i++) {
      functions.add(function(fields.inner("tools[" + i + "]", tools.get(i))));
    }
    fields.translate("tools", "tools", functions);
  }

  private static ObjectNode function(Fields tool) {
    String type = tool.text("type", "custom");
    if (!type.equals("custom")) {
      throw ApiError.unsupported(
          tool.path("type")
              + " is "
              + Fields.shown(type)
              + ": this server has no tools of its own, only clients' with an input_schema",
          tool.path("type"));
    }
    JsonNode schema = tool.required("input_schema");
    tool.require(
        schema.path("type").asString("").equals("object"),
        "input_schema",
        "is not a schema of the type object");
    // Without strict a schema only advises.
    JsonNode followed = tool.flag("strict") ? schema : JsonGrammar.followable(schema);
    tool.refuseExcept("defer_loading", BooleanNode.FALSE);
    tool.refuseExcept("allowed_callers", JsonNodeFactory.instance.arrayNode().add("direct"));
    tool.refuse("input_examples");
    tool.ignore("cache_control", "eager_input_streaming");
    ObjectNode function = JsonNodeFactory.instance.objectNode().put("type", "function");
    function.set("name", tool.take("name"));
    function.set("description", tool.take("description"));
    function.set("parameters", followed);
    tool.requireNoOthers();
    return function;
  }

  private static void choice(Fields fields) {
    Fields choice = fields.inner(CHOICE);
    if (choice == null) {
      return;
    }
    JsonNodeFactory json = JsonNodeFactory.instance;
    JsonNode translated =
        switch (choice.text("type", "")) {
          case "auto" -> json.stringNode("auto");
          case "any" -> json.stringNode("required");
          case "none" -> json.stringNode("none");
          case "tool" ->
              json.objectNode().put("type", "function").set("name", choice.required("name"));
          default -> throw choice.wrong("type", "is none of auto, any, tool and none");
        };
    fields.translate(CHOICE, CHOICE, translated);
    if (choice.flag("disable_parallel_tool_use")) {
      fields.translate(
          CHOICE + ".disable_parallel_tool_use", "parallel_tool_calls", BooleanNode.FALSE);
    }
    choice.requireNoOthers();
  }
}
