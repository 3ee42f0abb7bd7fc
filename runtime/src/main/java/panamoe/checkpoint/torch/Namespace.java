package panamoe.checkpoint.torch;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * An {@code argparse.Namespace} as plain data.
 *
 * @param values by attribute
 */
public record Namespace(Map<String, Object> values) {
  Namespace() {
    this(new LinkedHashMap<>());
  }
}
