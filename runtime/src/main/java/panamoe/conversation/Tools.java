package panamoe.conversation;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.io.Require;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * The functions of a conversation.
 *
 * @param shown those that the prompt shows; empty if none may be called
 * @param callable the schema of the arguments of each that may be called, by its name
 * @param required whether one must be called
 * @param several whether a reply may call more than once
 */
public record Tools(
    List<Function> shown, Map<String, JsonNode> callable, boolean required, boolean several) {
  /** None may be called. */
  public static final Tools NONE = new Tools(List.of(), Map.of(), false, false);

  /**
   * A function.
   *
   * @param name see {@link #isName}
   * @param description null without
   * @param parameters the schema of an object, its arguments; null or empty if it has none
   */
  public record Function(String name, String description, JsonNode parameters) {
    public Function {
      if (parameters == null || parameters.isObject() && parameters.isEmpty()) {
        parameters =
            JsonNodeFactory.instance
                .objectNode()
                .put("type", "object")
                .put("additionalProperties", false);
      }
      if (!isName(name)) {
        throw new IllegalArgumentException(
            "a function has the name '" + name + "', expected 1 to 64 letters, digits, _ or -");
      }
      if (!parameters.path("type").asString("").equals("object")) {
        throw new IllegalArgumentException(
            "the parameters of the function " + name + " are not a schema of the type object");
      }
    }

    /** Whether a function may have a name: 1 to 64 letters, digits, _ or -. */
    public static boolean isName(String name) {
      return name.matches("[a-zA-Z0-9_-]{1,64}");
    }

    /** As the tools of OpenAI have it. */
    ObjectNode json() {
      ObjectNode json = JsonNodeFactory.instance.objectNode().put("name", name);
      if (description != null) {
        json.put("description", description);
      }
      return json.set("parameters", parameters);
    }
  }

  /**
   * Functions each of which may be called.
   *
   * @throws IllegalArgumentException if two have one name, or a call is required where there are
   *     none
   */
  public static Tools of(List<Function> functions, boolean required, boolean several) {
    Require.that(
        !functions.isEmpty() || !required, "a call is required, but there are no functions");
    Map<String, JsonNode> callable = new LinkedHashMap<>();
    for (Function function : functions) {
      if (callable.put(function.name(), function.parameters()) != null) {
        throw new IllegalArgumentException("two functions have the name " + function.name());
      }
    }
    return functions.isEmpty() ? NONE : new Tools(functions, callable, required, several);
  }

  /** The same functions, of which this one must be called, once. */
  public Tools calling(String name) {
    return new Tools(shown, Map.of(name, callable.get(name)), true, false);
  }

  /** Whether a reply may call. */
  public boolean any() {
    return !callable.isEmpty();
  }

  /** As OpenAI's, for a template. */
  ArrayNode json() {
    ArrayNode json = JsonNodeFactory.instance.arrayNode();
    shown.forEach(each -> json.addObject().put("type", "function").set("function", each.json()));
    return json;
  }
}
