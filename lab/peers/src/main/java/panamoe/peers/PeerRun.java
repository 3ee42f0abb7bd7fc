package panamoe.peers;

import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import panamoe.lab.bench.PeerRequest;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A peer's library, which runs requests. Used by one thread. */
interface PeerRun extends AutoCloseable {
  /** The library's version. */
  String version();

  /** Runs the request for its seconds; returns the milliseconds of each call. */
  double[] burst(PeerRequest question) throws Exception;

  /** Answers a JSON request, by default with the times of {@link #burst}. */
  default Object answer(JsonNode question, JsonMapper json) throws Exception {
    return Map.of("ms", burst(json.treeToValue(question, PeerRequest.class)));
  }

  @Override
  void close();

  /**
   * Loads a library.
   *
   * @param arguments its name in {@code panamoe bench --peer}; for llama also the folder that
   *     ci/fetch/peers installs it to, and the seed of the weights
   */
  static PeerRun of(String... arguments) {
    if (!arguments[0].equals("llama")) {
      return new LayerRun(PeerLibrary.valueOf(arguments[0].toUpperCase(Locale.ROOT)));
    }
    Path library = Path.of(arguments[1]);
    return new LlamaRun(library, library.resolveSibling("weights"), Long.parseLong(arguments[2]));
  }
}
