package panamoe.text;

import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.conversation.Tools;
import panamoe.io.ConfigJson;
import tools.jackson.databind.JsonNode;

/**
 * A function that a model may call. Panamoe calls nothing: a reply says what to call.
 *
 * @param name 1 to 64 letters, digits, _ or -
 * @param description what it does, for the model; null without
 * @param parameters the JSON schema of its arguments, of the type object, which calls keep to
 *     (docs/structured-output.md); null if it has none
 */
public record Tool(String name, String description, String parameters) {
  /**
   * Checks the values.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if the name is null or no name, or the
   *     parameters are no schema of an object
   */
  public Tool {
    Failures.run(() -> function(Argument.notNull("name", name), description, parameters));
  }

  Tools.Function toFunction() {
    return function(name, description, parameters);
  }

  private static Tools.Function function(String name, String description, String parameters) {
    JsonNode schema =
        parameters == null
            ? null
            : ConfigJson.parse(parameters, JsonNode.class, "the parameters of " + name);
    return new Tools.Function(name, description, schema);
  }
}
