package panamoe.harness.serve.model;

import java.util.ArrayList;
import java.util.List;
import panamoe.conversation.Tools;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.Fields;
import tools.jackson.databind.JsonNode;

/** The fields for function calls. */
public final class ToolFields {
  private static final int MOST = 128;
  private static final String TOOLS = "tools";
  private static final String CHOICE = "tool_choice";

  private ToolFields() {}

  /**
   * Reads {@code tools}, {@code tool_choice} and {@code parallel_tool_calls}.
   *
   * @throws ApiError if they are not in OpenAI's form
   */
  public static Tools of(Fields fields) {
    List<Tools.Function> functions = new ArrayList<>();
    JsonNode tools = fields.take(TOOLS);
    if (tools != null && (!tools.isArray() || tools.size() > MOST)) {
      throw fields.wrong(TOOLS, "is not an array of at most " + MOST + " functions");
    }
    for (int i = 0; tools != null && i < tools.size(); i++) {
      functions.add(function(fields.inner(TOOLS + "[" + i + "]", tools.get(i)), functions));
    }
    JsonNode parallel = fields.take("parallel_tool_calls");
    fields.require(
        parallel == null || parallel.isBoolean(), "parallel_tool_calls", "is not true or false");
    boolean several = parallel == null || parallel.booleanValue();
    JsonNode choice = fields.take(CHOICE);
    if (choice != null && choice.isObject()) {
      String name = named(fields.inner(CHOICE, choice));
      fields.require(has(functions, name), CHOICE, "names a function that is not in tools");
      return Tools.of(functions, true, false).calling(name);
    }
    String word = choice == null ? "auto" : choice.asString("");
    return switch (word) {
      case "none" -> Tools.NONE;
      case "auto" -> Tools.of(functions, false, several);
      case "required" -> {
        fields.require(!functions.isEmpty(), CHOICE, "requires a call, but tools are missing");
        yield Tools.of(functions, true, several);
      }
      default -> throw fields.wrong(CHOICE, "is not none, auto, required or a function");
    };
  }

  private static boolean has(List<Tools.Function> functions, String name) {
    return functions.stream().anyMatch(function -> function.name().equals(name));
  }

  /** Parses a function; no two may have one name. */
  private static Tools.Function function(Fields tool, List<Tools.Function> before) {
    Fields function = ofType(tool);
    String name = function.text("name", "");
    if (!Tools.Function.isName(name) || has(before, name)) {
      throw function.wrong("name", "is not 1 to 64 letters, digits, _ or -, or is there twice");
    }
    String description = function.text("description", null);
    Tools.Function read;
    try {
      read = new Tools.Function(name, description, function.take("parameters"));
    } catch (IllegalArgumentException _) {
      throw function.wrong("parameters", "is not a schema of the type object");
    }
    function.flag("strict"); // every schema is strict
    tool.ignore("cache_control");
    function.requireNoOthers();
    tool.requireNoOthers();
    return read;
  }

  private static String named(Fields choice) {
    Fields function = ofType(choice);
    String name = function.text("name", "");
    function.requireNoOthers();
    choice.requireNoOthers();
    return name;
  }

  /**
   * The content of an object of the type function: in {@code function}, or in the object itself.
   */
  private static Fields ofType(Fields fields) {
    String type = fields.text("type", "");
    if (!type.equals("function")) {
      throw fields.unsupported("type", type, "function: the client runs tools, not the server");
    }
    return fields.names().contains("name")
        ? fields
        : fields.inner("function", fields.required("function"));
  }
}
