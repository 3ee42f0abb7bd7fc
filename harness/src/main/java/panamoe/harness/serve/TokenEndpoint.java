package panamoe.harness.serve;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import panamoe.conversation.template.Prompt;
import panamoe.harness.serve.completion.Conversation;
import panamoe.harness.serve.completion.TokenText;
import panamoe.harness.serve.http.Fields;
import panamoe.harness.serve.http.HttpExchange;
import panamoe.harness.serve.model.ServedModel;

/** Tokenization, without the model. Thread-safe. */
record TokenEndpoint(ServedModel model) {
  record Tokens(
      int count,
      int maxModelLen,
      int[] tokens,
      @JsonInclude(JsonInclude.Include.NON_NULL) List<String> tokenStrs) {}

  /** The response of detokenize and of apply-template. */
  record Text(String prompt) {}

  /** The tokens of a {@code prompt}, or of {@code messages}. */
  void tokenize(HttpExchange call) throws IOException {
    Fields fields = call.fields();
    model.requireNamed(fields);
    String prompt = fields.text("prompt", null);
    fields.require(
        prompt != null || fields.names().contains("messages"),
        "prompt",
        "is missing, and so are the messages: give one of them");
    int[] tokens =
        prompt == null ? model.chat().tokens(prompt(fields)) : model.tokenizer().encode(prompt);
    boolean strings = fields.flag("return_token_strs");
    fields.ignore("add_special_tokens"); // there are none to add
    fields.requireNoOthers();
    call.respond(
        new Tokens(
            tokens.length,
            model.context(),
            tokens,
            strings
                ? Arrays.stream(tokens)
                    .mapToObj(token -> TokenText.of(model.tokenizer(), token))
                    .toList()
                : null));
  }

  /** The text of {@code tokens}. */
  void detokenize(HttpExchange call) throws IOException {
    Fields fields = call.fields();
    model.requireNamed(fields);
    int[] tokens = fields.tokens("tokens", fields.required("tokens"), model.vocabulary());
    fields.requireNoOthers();
    call.respond(new Text(model.tokenizer().decode(tokens)));
  }

  /** The prompt of {@code messages}. */
  void applyTemplate(HttpExchange call) throws IOException {
    Fields fields = call.fields();
    model.requireNamed(fields);
    Text prompt = new Text(prompt(fields).text());
    fields.requireNoOthers();
    call.respond(prompt);
  }

  private Prompt prompt(Fields fields) {
    return Conversation.of(fields, model.requireChat()).prompt();
  }
}
