package panamoe.harness.serve.completion;

import java.util.Locale;

/** Whether a server accepts requests. */
public enum ServerState {
  /** The model is being loaded. */
  LOADING,
  READY,
  /** The server stops after its running requests. */
  DRAINING,
  /** The engine has failed; the process must be restarted. */
  FAILED;

  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }
}
