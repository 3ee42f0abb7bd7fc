package panamoe.conversation.template;

import java.util.HashMap;
import java.util.Map;

/** What {@code namespace()} gives: the only value that a template may change. */
final class NamespaceObject {
  private final Map<String, Object> values = new HashMap<>();

  Map<String, Object> values() {
    return values;
  }
}
