package panamoe.comm;

/** The collectives of a {@link Communicator}. */
public enum Collective {
  ALL_TO_ALL("allToAll"),
  ALL_TO_ALL_NUMBERS("allToAll"),
  ALL_REDUCE("allReduce"),
  ALL_REDUCE_NUMBER("allReduce of a number"),
  ALL_GATHER("allGather"),
  ALL_GATHER_NUMBERS("allGather"),
  REDUCE_SCATTER("reduceScatter"),
  BROADCAST_BYTES("broadcast of bytes"),
  BARRIER("barrier"),
  SPLIT("split");

  private final String words;

  Collective(String words) {
    this.words = words;
  }

  String words() {
    return words;
  }
}
