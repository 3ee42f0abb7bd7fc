package panamoe.conversation.reply;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.UUID;
import panamoe.io.Words;

/**
 * A call of a function.
 *
 * @param arguments the text of a JSON object; of a reply that was cut off perhaps a piece of it
 */
public record FunctionCall(String id, String name, String arguments) {
  private static final ObjectReader JSON =
      new JsonMapper().reader().with(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

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
      if (JSON.readTree(arguments) instanceof ObjectNode object) {
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
    } catch (JsonProcessingException _) {
      // refused below, like JSON that is not an object
    }
    throw new IllegalArgumentException(
        "the arguments of the call " + id + " are not the text of a JSON object");
  }
}
