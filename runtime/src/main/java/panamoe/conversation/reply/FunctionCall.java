package panamoe.conversation.reply;

import java.util.UUID;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * A call of a function.
 *
 * @param arguments the text of a JSON object; of a reply that was cut off perhaps a piece of it
 */
public record FunctionCall(String id, String name, String arguments) {
  /**
   * What is told of a call at a time.
   *
   * @param index the call's number in its reply
   * @param id null where the piece goes on with a call, as the name is
   * @param arguments what comes next of them
   */
  public record Piece(int index, String id, String name, String arguments) {}

  /** The id of a new call. */
  static String newId() {
    return "call_" + UUID.randomUUID().toString().replace("-", "").substring(0, 24);
  }

  /**
   * The arguments; keys may be there twice, as a model may have written them.
   *
   * @throws IllegalArgumentException if they are not the text of a JSON object
   */
  public ObjectNode object() {
    try {
      if (JsonMapper.shared().readTree(arguments) instanceof ObjectNode object) {
        return object;
      }
    } catch (JacksonException _) {
      // told below
    }
    throw new IllegalArgumentException(
        "the arguments of the call " + id + " are not the text of a JSON object");
  }
}
