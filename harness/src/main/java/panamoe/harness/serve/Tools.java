package panamoe.harness.serve;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.LinkedHashMap;
import java.util.Map;
import panamoe.grammar.CallForm;
import panamoe.grammar.CallGrammar;

/**
 * The functions of a request.
 *
 * @param shown their definitions as the prompt shows them; empty if none may be called
 * @param callable the schema of the arguments of each that may be called, by its name
 * @param required whether one must be called
 * @param several whether a text may call more than once
 */
record Tools(ArrayNode shown, Map<String, JsonNode> callable, boolean required, boolean several) {
  static final Tools NONE = new Tools(JsonNodeFactory.instance.arrayNode(), Map.of(), false, false);

  private static final int MOST = 128;
  private static final String TOOLS = "tools";
  private static final String CHOICE = "tool_choice";
  private static final String NAME = "[a-zA-Z0-9_-]{1,64}";

  /**
   * Reads {@code tools}, {@code tool_choice} and {@code parallel_tool_calls}.
   *
   * @throws ApiError if they are not as OpenAI's
   */
  static Tools of(Fields fields) {
    ArrayNode shown = JsonNodeFactory.instance.arrayNode();
    Map<String, JsonNode> functions = new LinkedHashMap<>();
    JsonNode tools = fields.take(TOOLS);
    if (tools != null && (!tools.isArray() || tools.size() > MOST)) {
      throw fields.wrong(TOOLS, "is not an array of at most " + MOST + " functions");
    }
    for (int i = 0; tools != null && i < tools.size(); i++) {
      shown.add(function(fields.inner(TOOLS + "[" + i + "]", tools.get(i)), functions));
    }
    JsonNode parallel = fields.take("parallel_tool_calls");
    if (parallel != null && !parallel.isBoolean()) {
      throw fields.wrong("parallel_tool_calls", "is not true or false");
    }
    boolean several = parallel == null || parallel.booleanValue();
    JsonNode choice = fields.take(CHOICE);
    if (choice != null && choice.isObject()) {
      String name = named(fields.inner(CHOICE, choice));
      if (!functions.containsKey(name)) {
        throw fields.wrong(CHOICE, "names a function that is not in tools");
      }
      return new Tools(shown, Map.of(name, functions.get(name)), true, false);
    }
    String word = choice == null ? "auto" : choice.asText();
    return switch (word) {
      case "none" -> NONE;
      case "auto" -> functions.isEmpty() ? NONE : new Tools(shown, functions, false, several);
      case "required" -> {
        if (functions.isEmpty()) {
          throw fields.wrong(CHOICE, "requires a call, but tools are missing");
        }
        yield new Tools(shown, functions, true, several);
      }
      default -> throw fields.wrong(CHOICE, "is not none, auto, required or a function");
    };
  }

  /** Adds a function to those that are known; returns its definition. */
  private static ObjectNode function(Fields tool, Map<String, JsonNode> functions) {
    Fields function = ofType(tool);
    String name = function.text("name", "");
    if (!name.matches(NAME) || functions.containsKey(name)) {
      throw function.wrong("name", "is not 1 to 64 letters, digits, _ or -, or is there twice");
    }
    ObjectNode definition = JsonNodeFactory.instance.objectNode().put("name", name);
    String description = function.text("description", null);
    if (description != null) {
      definition.put("description", description);
    }
    JsonNode parameters = function.take("parameters");
    if (parameters == null || parameters.isObject() && parameters.isEmpty()) {
      parameters =
          JsonNodeFactory.instance
              .objectNode()
              .put("type", "object")
              .put("additionalProperties", false);
    }
    if (!parameters.path("type").asText().equals("object")) {
      throw function.wrong("parameters", "is not a schema of the type object");
    }
    definition.set("parameters", parameters);
    functions.put(name, parameters);
    function.flag("strict"); // every schema is kept to
    function.requireNoOthers();
    tool.ignore("cache_control");
    tool.requireNoOthers();
    return definition;
  }

  private static String named(Fields choice) {
    Fields function = ofType(choice);
    String name = function.text("name", "");
    function.requireNoOthers();
    choice.requireNoOthers();
    return name;
  }

  /** What an object of the type function holds. */
  private static Fields ofType(Fields fields) {
    if (!fields.text("type", "").equals("function")) {
      throw ApiError.unsupported(fields.path("type") + " is not function", fields.path("type"));
    }
    Fields function = fields.inner("function");
    if (function == null) {
      throw fields.missing("function");
    }
    return function;
  }

  /**
   * @throws ApiError if a schema cannot be kept to
   */
  CallGrammar grammar(CallForm form) {
    try {
      return CallGrammar.of(form, callable, several);
    } catch (IllegalArgumentException e) {
      throw ApiError.invalid(e.getMessage(), TOOLS);
    }
  }

  /** As OpenAI's, for a template; empty if none may be called. */
  ArrayNode given() {
    ArrayNode given = JsonNodeFactory.instance.arrayNode();
    shown.forEach(tool -> given.addObject().put("type", "function").set("function", tool));
    return given;
  }

  /** The line that tells a model without a template of them; empty if none may be called. */
  String line() {
    return shown.isEmpty()
        ? ""
        : "system: Functions that can be called: <tools>"
            + shown
            + "</tools> A call is written as "
            + CallForm.OPEN
            + "{\"name\": NAME, \"arguments\": {...}}"
            + CallForm.CLOSE
            + "\n";
  }
}
