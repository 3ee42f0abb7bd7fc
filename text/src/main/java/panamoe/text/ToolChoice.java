package panamoe.text;

/** Whether a reply calls functions. */
public enum ToolChoice {
  /** The model decides. */
  AUTO,
  /** It must call, and has no content and no thoughts. */
  REQUIRED
}
