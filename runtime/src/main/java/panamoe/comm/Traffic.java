package panamoe.comm;

/**
 * The messages that a rank sent, by kind of link. Blocks to itself and empty blocks do not count.
 *
 * @param nearMessages to ranks on the same node
 * @param nearBytes to ranks on the same node
 * @param farMessages to other nodes
 * @param farBytes to other nodes
 */
public record Traffic(long nearMessages, long nearBytes, long farMessages, long farBytes) {
  public static final Traffic NONE = new Traffic(0, 0, 0, 0);

  public Traffic plus(Traffic other) {
    return new Traffic(
        nearMessages + other.nearMessages,
        nearBytes + other.nearBytes,
        farMessages + other.farMessages,
        farBytes + other.farBytes);
  }
}
