// Puts what a link says behind # into the form, and takes it out of the address, so that it is not kept in the history.
const token = document.querySelector("input[name=token]");
if (token && location.hash.length > 1) {
  token.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
}
