package panamoe.text;

import java.util.Arrays;
import java.util.List;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.conversation.Tools;
import panamoe.io.ConfigJson;
import tools.jackson.databind.node.ObjectNode;

/**
 * What a reply is to be.
 *
 * @param text how it is written. If that has a schema, the content keeps to it, and a reply that
 *     does not call has no thoughts
 * @param tools functions that the model may call
 * @param choice whether it does
 * @param parallel whether a reply may call more than once
 * @param variables a JSON object: what the model's template is told beside the conversation, such
 *     as {@code {"enable_thinking": false}}, {@code {"reasoning_effort": "low"}} or {@code
 *     documents}; a template passes over what it does not know
 */
public record ChatOptions(
    GenerationOptions text,
    List<Tool> tools,
    ToolChoice choice,
    boolean parallel,
    String variables) {
  /**
   * Copies the list, and checks the values.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if one is null, two tools have one name, a
   *     call is required without tools, or the variables are no JSON object
   */
  public ChatOptions {
    List<Tool> given = tools;
    tools =
        Failures.translating(
            () -> {
              Argument.notNull("text", text);
              Argument.notNull("choice", choice);
              Argument.notNull("tools", given).forEach(tool -> Argument.notNull("a tool", tool));
              functions(given, choice, parallel);
              object(Argument.notNull("variables", variables));
              return List.copyOf(given);
            });
  }

  /** A reply without tools. */
  public static ChatOptions of(GenerationOptions text) {
    return new ChatOptions(text, List.of(), ToolChoice.AUTO, true, "{}");
  }

  /** As {@link GenerationOptions#of}, without tools. */
  public static ChatOptions of(int maxTokens) {
    return of(GenerationOptions.of(maxTokens));
  }

  /** These options with functions that the model may call. */
  public ChatOptions withTools(Tool... value) {
    return new ChatOptions(
        text, value == null ? null : Arrays.asList(value), choice, parallel, variables);
  }

  /** These options with another choice. */
  public ChatOptions withChoice(ToolChoice value) {
    return new ChatOptions(text, tools, value, parallel, variables);
  }

  /** These options with several calls in a reply, or one at most. */
  public ChatOptions withParallel(boolean value) {
    return new ChatOptions(text, tools, choice, value, variables);
  }

  /** These options with what the model's template is told, a JSON object. */
  public ChatOptions withVariables(String json) {
    return new ChatOptions(text, tools, choice, parallel, json);
  }

  Tools toTools() {
    return functions(tools, choice, parallel);
  }

  ObjectNode toVariables() {
    return object(variables);
  }

  private static Tools functions(List<Tool> tools, ToolChoice choice, boolean parallel) {
    return Tools.of(
        tools.stream().map(Tool::toFunction).toList(), choice == ToolChoice.REQUIRED, parallel);
  }

  private static ObjectNode object(String variables) {
    return ConfigJson.parse(variables, ObjectNode.class, "the variables");
  }
}
