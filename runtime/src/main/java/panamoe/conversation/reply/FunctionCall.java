package panamoe.conversation.reply;

import java.util.UUID;
import panamoe.io.Words;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.exc.StreamConstraintsException;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * A call of a function.
 *
 * @param arguments a JSON object as text; possibly incomplete in a reply that was cut off
 */
public record FunctionCall(String id, String name, String arguments) {
  /**
   * The next piece of a streamed call.
   *
   * @param index of the call in its reply
   * @param id null except in a call's first piece; {@code name} too
   * @param arguments the next part of the arguments
   */
  public record Piece(int index, String id, String name, String arguments) {}

  /** The id of a new call. */
  static String newId() {
    return "call_" + UUID.randomUUID().toString().replace("-", "").substring(0, 24);
  }

  /**
   * The parsed arguments; duplicate keys are allowed, because a model may write them.
   *
   * @throws IllegalArgumentException if they are not the text of a JSON object
   */
  public ObjectNode object() {
    try {
      if (JsonMapper.shared().readTree(arguments) instanceof ObjectNode object) {
        return object;
      }
    } catch (StreamConstraintsException e) {
      throw new IllegalArgumentException(
          Words.of(
              "the arguments of the call %s are nested more than %s deep, or have a number of more"
                  + " than %s digits",
              id,
              StreamReadConstraints.DEFAULT_MAX_DEPTH,
              StreamReadConstraints.DEFAULT_MAX_NUM_LEN),
          e);
    } catch (JacksonException _) {
      // refused below, like JSON that is not an object
    }
    throw new IllegalArgumentException(
        "the arguments of the call " + id + " are not the text of a JSON object");
  }
}
