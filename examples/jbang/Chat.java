///usr/bin/env jbang "$0" "$@" ; exit $?
//JAVA 25+
//DEPS io.github.panamoe:panamoe-text:0.1.0
//RUNTIME_OPTIONS --enable-native-access=ALL-UNNAMED

import java.nio.file.Path;
import java.util.List;
import panamoe.text.ChatOptions;
import panamoe.text.ChatSession;
import panamoe.text.TextCompletion;
import panamoe.text.TextService;

/** Chats with a model: {@code jbang Chat.java hf:Qwen/Qwen3-30B-A3B-GGUF:Q4_K_M}. */
final class Chat {
  static void main(String... arguments) throws InterruptedException {
    try (TextService service = TextService.open(Path.of(arguments[0]))) {
      ChatSession session = service.chat(List.of(), ChatOptions.of(1000));
      for (String line = IO.readln("> "); line != null; line = IO.readln("> ")) {
        TextCompletion reply = session.reply(line);
        for (var piece = reply.next(); piece.isPresent(); piece = reply.next()) {
          IO.print(piece.get().content());
        }
        IO.println();
      }
    }
  }
}
