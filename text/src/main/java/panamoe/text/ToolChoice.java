package panamoe.text;

/** Whether a reply calls functions. */
public enum ToolChoice {
  /** The model decides. */
  AUTO,
  /** It calls, and says and thinks nothing else. */
  REQUIRED
}
