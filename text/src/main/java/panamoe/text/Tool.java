package panamoe.text;

import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.conversation.Tools;
import panamoe.io.ConfigJson;
import tools.jackson.databind.JsonNode;

/**
 * A function that a model may call. Panamoe does not run it: a reply contains the calls.
 *
 * @param name 1 to 64 letters, digits, _ or -
 * @param description of what it does, for the model; null for none
 * @param parameters the JSON schema of its arguments, an object, which calls keep to
 *     (docs/structured-output.md); null for no arguments
 */
public record Tool(String name, String description, String parameters) {
  /**
   * Checks the values.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if the name is null or not allowed, or the
   *     parameters are not a schema of an object
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
