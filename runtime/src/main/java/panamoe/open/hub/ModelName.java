package panamoe.open.hub;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.io.Require;

/**
 * The name of a model on the hub: {@code hf:OWNER/REPO}, {@code hf:OWNER/REPO:Q4_K_M}, {@code
 * hf:OWNER/REPO@REVISION} or {@code hf:OWNER/REPO@REVISION:Q4_K_M}.
 *
 * @param revision a branch, a tag or a commit
 * @param variant a quantisation or a file's path; null for the usual one
 */
public record ModelName(String owner, String repo, String revision, String variant) {
  /** The revision of a name without one. */
  public static final String MAIN = "main";

  /** Begins a name. */
  public static final String SCHEME = "hf:";

  private static final String PART = "(?!\\S*(?:--|\\.\\.))\\w(?:[\\w.-]*\\w)?";
  private static final String PATH = "\\w[\\w.-]*(?:/\\w[\\w.-]*)*";
  private static final Pattern FORM =
      Pattern.compile(
          SCHEME + "/{0,2}(" + PART + ")/(" + PART + ")(?:@(" + PATH + "))?(?::(" + PATH + "))?");

  /**
   * The name that was given in place of a path; empty for a path.
   *
   * @throws IllegalArgumentException if it begins like a name but is not a name
   */
  public static Optional<ModelName> in(String given) {
    return given.startsWith(SCHEME) ? Optional.of(parse(given)) : Optional.empty();
  }

  /**
   * @throws IllegalArgumentException if it is not a name
   */
  public static ModelName parse(String text) {
    Matcher matcher = FORM.matcher(text);
    Require.that(
        matcher.matches(),
        "'%s' is not the name of a model, expected hf:OWNER/REPO, hf:OWNER/REPO:QUANTISATION, or"
            + " hf:OWNER/REPO@REVISION:QUANTISATION",
        text);
    String revision = matcher.group(3) == null ? MAIN : matcher.group(3);
    return new ModelName(matcher.group(1), matcher.group(2), revision, matcher.group(4));
  }

  /** {@code OWNER/REPO}. */
  public String repository() {
    return owner + "/" + repo;
  }

  /** This model in another variant. */
  ModelName with(String other) {
    return new ModelName(owner, repo, revision, other);
  }

  /** This model at another revision. */
  ModelName at(String other) {
    return new ModelName(owner, repo, other, variant);
  }

  @Override
  public String toString() {
    return SCHEME
        + repository()
        + (revision.equals(MAIN) ? "" : "@" + revision)
        + (variant == null ? "" : ":" + variant);
  }
}
