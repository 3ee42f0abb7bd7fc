package panamoe.conversation.template;

import java.util.HashMap;
import java.util.Map;

/** The value of {@code namespace()}, the only mutable value of templates. */
final class NamespaceObject {
  private final Map<String, Object> values = new HashMap<>();

  Map<String, Object> values() {
    return values;
  }
}
