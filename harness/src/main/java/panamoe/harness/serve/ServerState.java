package panamoe.harness.serve;

import java.util.Locale;

/** Whether a server takes requests. */
enum ServerState {
  /** The model is being loaded. */
  LOADING,
  READY,
  /** The server stops when its texts are written. */
  DRAINING,
  /** The engine has failed; only a new process helps. */
  FAILED;

  String word() {
    return name().toLowerCase(Locale.ROOT);
  }
}
