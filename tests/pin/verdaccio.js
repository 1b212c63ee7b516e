// A registry on a free port, with one user. Arguments: its config file, a name, a password.
const { runServer } = require(process.env.VERDACCIO);

(async () => {
  const [config, name, password] = process.argv.slice(2);
  const server = await runServer(config);
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${server.address().port}/`;
  const answer = await fetch(`${url}-/user/org.couchdb.user:${name}`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name, password }),
  });
  const { token } = await answer.json();
  console.log(`ready ${url} ${token}`);
})();
